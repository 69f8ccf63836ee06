"""Assignment of affiliates to groups; the rules are in `planning`."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from control_plane.access.groups.models import Group
from control_plane.access.groups.slugs import make_slug
from control_plane.accounts import confusables
from control_plane.accounts.validation import fold_name
from control_plane.deployments.models import Stack
from control_plane.neurocaas_import.addresses import AddressBook
from control_plane.neurocaas_import.entries import Entry, shown
from control_plane.neurocaas_import.normalising import group_name, is_readable, with_number
from control_plane.neurocaas_import.people import Person
from control_plane.neurocaas_import.pipelines import Use
from stacks import names


@dataclass
class Target:
    """A group that affiliates become, existing or new."""

    slug: str
    name: str
    group: Group | None = None
    users: dict[str, list[Entry]] = field(default_factory=dict)
    uses: dict[str, Use] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        """True if it has to be created."""
        return self.group is None


@dataclass
class PlannedAffiliate:
    """An affiliate with its target, people, analyses and copy commands."""

    entry: Entry
    raw_name: Any = None
    target: Target | None = None
    people: list[Person] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)

    @property
    def old_name(self) -> str:
        """The unchanged AffiliateName, which is the name of the group's old folders."""
        return "" if isinstance(self.raw_name, bool | None) or not isinstance(self.raw_name, str | int) else str(self.raw_name)

    def entries(self) -> list[Entry]:
        """Return all entries below its own."""
        return [person.entry for person in self.people] + [use.entry for use in self.uses]


@dataclass(frozen=True)
class ImportChoices:
    """The operator's options: slugs by folded AffiliateName, analyses by pipeline, and addresses."""

    groups: Mapping[str, str] = field(default_factory=dict)
    pipelines: Mapping[str, str] = field(default_factory=dict)
    book: AddressBook = field(default_factory=AddressBook)
    creates_analyses: bool = False


class Targets:
    """Existing and planned groups, and the assignment of affiliates to them."""

    def __init__(self, choices: ImportChoices) -> None:
        self._choices = choices
        self.all: list[Target] = []
        self._by_name: dict[str, Target] = {}
        self._by_slug: dict[str, Target] = {}
        groups = list(Group.objects.select_related("stack"))
        self._groups_by_name = {group.folded_name: group for group in groups}
        self._groups_by_slug = {group.slug: group for group in groups}
        self._lookalikes = {key: group.slug for group in groups for key in confusables.lookalike_keys(group.name)}
        # For slugs that several names share, the last number that was appended.
        self._numbers: dict[str, int] = {}
        self.used_choices = set[str]()
        self._stacks = set(Stack.objects.values_list("name", flat=True))

    def assign(self, affiliates: list[PlannedAffiliate]) -> None:
        """Assign each affiliate its group, or refuse it. Existing groups come first, so that no order of files changes slugs."""
        waiting = []
        for affiliate in affiliates:
            name = group_name(affiliate.raw_name, affiliate.entry)
            if name is None:
                continue
            if not self._by_choice(affiliate, name) and not affiliate.entry.is_refused and not self._join_existing(affiliate, name):
                waiting.append((affiliate, name))
        for affiliate, name in waiting:
            if not affiliate.entry.is_refused:
                self._create(affiliate, name)

    def _by_choice(self, affiliate: PlannedAffiliate, name: str) -> bool:
        wanted = {fold_name(affiliate.old_name), fold_name(shown(affiliate.old_name)), fold_name(name)}
        key = next((key for key in self._choices.groups if key in wanted), None)
        if key is None:
            return False
        self.used_choices.add(key)
        slug = self._choices.groups[key]
        affiliate.entry.mend(f"The slug {slug} is from --group.")
        if slug in self._by_slug or slug in self._groups_by_slug:
            self._join(affiliate, self._target_of(self._groups_by_slug.get(slug), self._by_slug.get(slug)))
        else:
            self._make(affiliate, slug, name if is_readable(name) else slug)
        return True

    def _join_existing(self, affiliate: PlannedAffiliate, name: str) -> bool:
        group, target = self._groups_by_name.get(fold_name(name)), self._by_name.get(fold_name(name))
        if group is None and target is None:
            return False
        self._join(affiliate, self._target_of(group, target))
        return True

    def _create(self, affiliate: PlannedAffiliate, name: str) -> None:
        if self._join_existing(affiliate, name):
            return
        slug = make_slug(name)
        advice = f"Choose a slug by {_group_option(affiliate, 'slug')}."
        if not slug:
            affiliate.entry.refuse(f"The name holds no letter or digit that a slug can be made of. {advice}")
        elif not is_readable(name):
            affiliate.entry.refuse(f"The name mixes letters of several scripts that look alike. {advice}")
        elif slug in self._groups_by_slug and slug not in self._by_slug:
            other = self._groups_by_slug[slug]
            affiliate.entry.refuse(
                f"The slug {slug} is that of the group {other.name!r}. If they are one, say so by "
                f"{_group_option(affiliate, slug)}; if not, give this one another slug there."
            )
        else:
            self._make(affiliate, self._free_slug(slug, affiliate.entry), name)

    def _free_slug(self, slug: str, entry: Entry) -> str:
        number, free = self._numbers.get(slug, 1), slug
        while free in self._by_slug or free in self._groups_by_slug:
            number += 1
            free = with_number(slug, number)
        self._numbers[slug] = number
        if free != slug:
            entry.mend(f"Another group has the slug {slug}, so that this one gets a number.")
        return free

    def _make(self, affiliate: PlannedAffiliate, slug: str, name: str) -> None:
        if names.group_stack(slug) in self._stacks:
            affiliate.entry.refuse(f"The slug {slug} was used before, and is not used again. Choose another by --group.")
            return
        if other := self._groups_by_name.get(fold_name(name)) or self._by_name.get(fold_name(name)):
            affiliate.entry.refuse(f"The group {other.slug!r} is called {name!r}. Leave --group out, or give it that slug.")
            return
        if lookalike := next((self._lookalikes[key] for key in confusables.lookalike_keys(name) if key in self._lookalikes), None):
            affiliate.entry.refuse(
                f"The name {shown(name)!r} looks like that of the group {lookalike!r}. If they are one, say so by "
                f"{_group_option(affiliate, lookalike)}."
            )
            return
        target = Target(slug, name)
        if slug != affiliate.old_name:
            affiliate.entry.mend(
                f"Its slug is {slug}, which names it on AWS and cannot be changed later; people go on calling it {shown(name)!r}. "
                f"Another slug: {_group_option(affiliate, 'slug')}."
            )
        self._join(affiliate, target)

    def _target_of(self, group: Group | None, target: Target | None) -> Target:
        return target or Target(group.slug, group.name, group)  # type: ignore[union-attr]

    def _join(self, affiliate: PlannedAffiliate, target: Target) -> None:
        if target.group is not None and target.group.retired_at is not None:
            affiliate.entry.refuse(
                f"The group {target.slug} of this name is retired. If its people are to come back, add them elsewhere."
            )
            return
        if target.slug not in self._by_slug:
            self.all.append(target)
            self._by_slug[target.slug] = target
        elif target.is_new:
            affiliate.entry.mend("The name is given more than once; it is one group.")
        self._by_name[fold_name(target.name)] = target
        self._lookalikes |= dict.fromkeys(confusables.lookalike_keys(target.name), target.slug)
        affiliate.target, affiliate.entry.becomes = target, target.slug


def _group_option(affiliate: PlannedAffiliate, slug: str) -> str:
    """Return the option to type; with an equals sign, because a name may begin with a hyphen."""
    return f"--group={shlex.quote(f'{shown(affiliate.old_name)}={slug}')}"
