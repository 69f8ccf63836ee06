"""Which group each affiliate becomes; the decisions are in `planning`."""

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
from control_plane.neurocaas_import.normalising import group_name, is_readable, numbered
from control_plane.neurocaas_import.people import Person
from control_plane.neurocaas_import.pipelines import Use
from stacks.manifest import names


@dataclass
class Target:
    """A group that affiliates become: one that is there, or one to make."""

    slug: str
    name: str
    group: Group | None = None
    users: dict[str, list[Entry]] = field(default_factory=dict)
    uses: dict[str, Use] = field(default_factory=dict)

    @property
    def is_new(self) -> bool:
        """Whether it has to be made."""
        return self.group is None


@dataclass
class PlannedAffiliate:
    """An affiliate with what becomes of everything in it."""

    entry: Entry
    raw_name: Any = None
    target: Target | None = None
    people: list[Person] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    copies: list[str] = field(default_factory=list)

    @property
    def old_name(self) -> str:
        """The AffiliateName as it stood, which names the group's folders."""
        return "" if isinstance(self.raw_name, bool | None) or not isinstance(self.raw_name, str | int) else str(self.raw_name)

    def entries(self) -> list[Entry]:
        """All entries below its own."""
        return [person.entry for person in self.people] + [use.entry for use in self.uses]


@dataclass(frozen=True)
class Wishes:
    """What the person said with the command: slugs by folded AffiliateName, analyses by pipeline, and addresses."""

    groups: Mapping[str, str] = field(default_factory=dict)
    pipelines: Mapping[str, str] = field(default_factory=dict)
    book: AddressBook = field(default_factory=AddressBook)
    creates_analyses: bool = False


class Targets:
    """Which group each affiliate becomes."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self.all: list[Target] = []
        self._by_name: dict[str, Target] = {}
        self._by_slug: dict[str, Target] = {}
        groups = list(Group.objects.select_related("stack"))
        self._groups_by_name = {group.folded_name: group for group in groups}
        self._groups_by_slug = {group.slug: group for group in groups}
        self._looks = {key: group.slug for group in groups for key in confusables.lookalike_keys(group.name)}
        # Of each slug that several names make, the last number that was given out.
        self._numbers: dict[str, int] = {}
        self.used_wishes = set[str]()
        self._stacks = set(Stack.objects.values_list("name", flat=True))

    def assign(self, affiliates: list[PlannedAffiliate]) -> None:
        """Give each affiliate its group, or refuse it. Those that are there come first, so that no order of files changes slugs."""
        waiting = []
        for one in affiliates:
            name = group_name(one.raw_name, one.entry)
            if name is None:
                continue
            if not self._by_wish(one, name) and not one.entry.is_refused and not self._there(one, name):
                waiting.append((one, name))
        for one, name in waiting:
            if not one.entry.is_refused:
                self._new(one, name)

    def _by_wish(self, one: PlannedAffiliate, name: str) -> bool:
        wanted = {fold_name(one.old_name), fold_name(shown(one.old_name)), fold_name(name)}
        key = next((key for key in self._wishes.groups if key in wanted), None)
        if key is None:
            return False
        self.used_wishes.add(key)
        slug = self._wishes.groups[key]
        one.entry.mend(f"The slug {slug} is from --group.")
        if slug in self._by_slug or slug in self._groups_by_slug:
            self._join(one, self._known(self._groups_by_slug.get(slug), self._by_slug.get(slug)))
        else:
            self._make(one, slug, name if is_readable(name) else slug)
        return True

    def _there(self, one: PlannedAffiliate, name: str) -> bool:
        group, target = self._groups_by_name.get(fold_name(name)), self._by_name.get(fold_name(name))
        if group is None and target is None:
            return False
        self._join(one, self._known(group, target))
        return True

    def _new(self, one: PlannedAffiliate, name: str) -> None:
        if self._there(one, name):
            return
        slug = make_slug(name)
        advice = f"Choose a slug by {_wish(one, 'slug')}."
        if not slug:
            one.entry.refuse(f"The name holds no letter or digit that a slug can be made of. {advice}")
        elif not is_readable(name):
            one.entry.refuse(f"The name mixes letters of several scripts that look alike. {advice}")
        elif slug in self._groups_by_slug and slug not in self._by_slug:
            other = self._groups_by_slug[slug]
            one.entry.refuse(
                f"The slug {slug} is that of the group {other.name!r}. If they are one, say so by "
                f"{_wish(one, slug)}; if not, give this one another slug there."
            )
        else:
            self._make(one, self._free(slug, one.entry), name)

    def _free(self, slug: str, entry: Entry) -> str:
        number, free = self._numbers.get(slug, 1), slug
        while free in self._by_slug or free in self._groups_by_slug:
            number += 1
            free = numbered(slug, number)
        self._numbers[slug] = number
        if free != slug:
            entry.mend(f"Another group has the slug {slug}, so that this one gets a number.")
        return free

    def _make(self, one: PlannedAffiliate, slug: str, name: str) -> None:
        if names.group_stack(slug) in self._stacks:
            one.entry.refuse(f"The slug {slug} was used before, and is not used again. Choose another by --group.")
            return
        if other := self._groups_by_name.get(fold_name(name)) or self._by_name.get(fold_name(name)):
            one.entry.refuse(f"The group {other.slug!r} is called {name!r}. Leave --group out, or give it that slug.")
            return
        if looks_like := next((self._looks[key] for key in confusables.lookalike_keys(name) if key in self._looks), None):
            one.entry.refuse(
                f"The name {shown(name)!r} looks like that of the group {looks_like!r}. If they are one, say so by "
                f"{_wish(one, looks_like)}."
            )
            return
        target = Target(slug, name)
        if slug != one.old_name:
            one.entry.mend(
                f"Its slug is {slug}, which names it on AWS and cannot be changed later; people go on calling it {shown(name)!r}. "
                f"Another slug: {_wish(one, 'slug')}."
            )
        self._join(one, target)

    def _known(self, group: Group | None, target: Target | None) -> Target:
        return target or Target(group.slug, group.name, group)  # type: ignore[union-attr]

    def _join(self, one: PlannedAffiliate, target: Target) -> None:
        if target.group is not None and target.group.retired_at is not None:
            one.entry.refuse(
                f"The group {target.slug} of this name is retired. If its people are to come back, add them elsewhere."
            )
            return
        if target.slug not in self._by_slug:
            self.all.append(target)
            self._by_slug[target.slug] = target
        elif target.is_new:
            one.entry.mend("The name is given more than once; it is one group.")
        self._by_name[fold_name(target.name)] = target
        self._looks |= dict.fromkeys(confusables.lookalike_keys(target.name), target.slug)
        one.target, one.entry.becomes = target, target.slug


def _wish(one: PlannedAffiliate, slug: str) -> str:
    """What to type; with the sign of equality, because a name may begin with a hyphen."""
    return f"--group={shlex.quote(f'{shown(one.old_name)}={slug}')}"
