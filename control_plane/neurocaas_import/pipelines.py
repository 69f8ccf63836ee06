"""Mapping of Pipelines to analyses: existing ones, new ones, and refused ones."""

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from control_plane.access.groups.models import Analysis, Grant
from control_plane.access.groups.slugs import make_slug
from control_plane.base.config import config
from control_plane.neurocaas_import.entries import Entry, shown
from control_plane.neurocaas_import.normalising import bucket_of, items_of
from stacks import names


@dataclass
class Use:
    """A pipeline of an affiliate, and its analysis."""

    entry: Entry
    old_bucket: str = ""
    slug: str | None = None
    bucket: str = ""
    others: list[Entry] = field(default_factory=list)


class Pipelines:
    """Existing and planned analyses, by the names that pipelines use."""

    def __init__(self, choices: Mapping[str, str], *, creates: bool) -> None:
        self._choices, self._creates = choices, creates
        self.used_choices = set[str]()
        self._slugs, self._names, self._buckets = dict[str, str](), set[str](), dict[str, str]()
        for slug, name, bucket in Analysis.objects.values_list("slug", "name", "bucket"):
            self._slugs[slug] = bucket
            self._names.add(name.lower())
            self._buckets[bucket] = slug
        # Slugs of the analyses that have to be created, by bucket.
        self.to_make: dict[str, str] = {}
        # Buckets outside BUCKET_PATTERNS, with the number of entries refused for each.
        self.beyond_patterns: Counter[str] = Counter()

    def find(self, raw: Any, group: Entry) -> list[Use]:
        """Return the uses that an affiliate's Pipelines name."""
        items, how = items_of(raw, by_space=True)
        if how:
            group.mend(f"Pipelines: {how}.")
        uses = []
        for item in items:
            parts, _ = items_of(item, by_space=True) if isinstance(item, str) else ([item], "")
            if len(parts) > 1:
                group.mend("Pipelines: a text in the list was taken apart into its items.")
            for part in parts or [item]:
                entry = Entry("analysis", shown(part))
                uses.append(Use(entry, bucket_of(part, entry) or ""))
        return uses

    def granted(self, groups: Iterable[int]) -> dict[int, dict[str, bool]]:
        """Return for each group, by primary key, the slugs of analyses that it was ever granted, and whether it still has them."""
        granted: dict[int, dict[str, bool]] = {}
        rows = Grant.objects.filter(group__in=set(groups)).values_list("group", "analysis__slug", "removed_generation")
        for group, slug, removed in rows:
            mine = granted.setdefault(group, {})
            mine[slug] = mine.get(slug, False) or removed is None
        return granted

    def settle(self, use: Use, granted: Mapping[str, bool]) -> None:
        """Find the analysis of a use, and check whether it is granted already."""
        if use.entry.is_refused:
            return
        if choice := self._choices.get(use.old_bucket):
            self.used_choices.add(use.old_bucket)
            use.entry.mend(f"The analysis {choice} is from --pipeline.")
            use.slug = choice
        else:
            use.slug = self._buckets.get(use.old_bucket) or self._make(use)
        if use.slug is None:
            return
        use.bucket, use.entry.becomes = self._slugs[use.slug], use.slug
        if granted.get(use.slug):
            use.entry.mark_present()
        elif use.slug in granted:
            use.entry.refuse(f"This group had {use.slug}, and it was taken away since. To bring it back, grant it by hand.")

    def _make(self, use: Use) -> str | None:
        """Plan an analysis for the pipeline and return its slug; None if the entry is refused."""
        bucket, slug = use.old_bucket, make_slug(use.old_bucket)
        if problem := self._problem(bucket, slug):
            use.entry.refuse(problem)
            return None
        self.to_make[bucket] = self._buckets[bucket] = slug
        self._slugs[slug] = bucket
        self._names.add(bucket)
        use.entry.mend(
            f"The analysis {slug} and its bucket are made. If there is such a bucket already, that is refused: use --pipeline."
        )
        return slug

    def remark_on_patterns(self) -> str:
        """Return advice on the bucket patterns to set if the present ones refuse pipelines; '' if they refuse none."""
        if not self.beyond_patterns:
            return ""
        patterns, count = config().bucket_patterns, self.beyond_patterns.total()
        wanted = [*patterns, *sorted(self.beyond_patterns)]
        many = "1 pipeline is" if count == 1 else f"{count} pipelines are"
        return (
            f"{many} refused because groups can reach only {' and '.join(patterns)}. To take them, have an administrator of the "
            "AWS account do this first:\n"
            f"  1. In site.toml: bucket_patterns = {json.dumps(wanted)}\n"
            "  2. python -m stacks.bootstrap deploy\n"
            f'  3. Set BUCKET_PATTERNS="{" ".join(wanted)}", which cdk deploy does on a host.\n'
            "Then run this again. A bucket that is another analysis now needs none of it: say which by --pipeline=NAME=slug."
        )

    def _problem(self, bucket: str, slug: str) -> str:
        option = f"--pipeline={shlex.quote(f'{shown(bucket)}=slug')}"
        say_which = f"say which analysis it is now by {option} (`manage.py analysis list` shows them)"
        try:
            names.check_bucket(bucket)
        except names.NameRefused as error:
            return f"No analysis has this bucket, and none can: {error} If it is another now, {say_which}."
        patterns = config().bucket_patterns
        if not names.bucket_fits(bucket, patterns):
            self.beyond_patterns[bucket] += 1
            return (
                f"No analysis has this bucket, and groups can reach only {' and '.join(patterns)}. Either {say_which}; or have an "
                "administrator of the AWS account add it to bucket_patterns."
            )
        if not self._creates:
            return (
                f"No analysis has this bucket. Make it (manage.py analysis create {slug} --bucket {bucket}), have it made by "
                f"--create-analyses, or {say_which}."
            )
        if slug in self._slugs or bucket in self._names:
            return (
                f"An analysis is called {slug} or {bucket} already, with another bucket. Either {say_which}, or make one by hand."
            )
        return ""
