"""Dry run of a roster: the fate of each row, decided before anything is changed."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any

from django.utils import timezone

from control_plane.access.groups.errors import InvalidEnd
from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.expiry import check_end, last_moment
from control_plane.access.rosters.services.known import Known
from control_plane.access.rosters.services.read import REMOVE, Reading, RosterProblem, Row


class Fate(StrEnum):
    """Effect of a row: what applying it does."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    SAME = "same"
    REFUSED = "refused"


FATES = {
    Fate.ADDED: "will be added",
    Fate.CHANGED: "will be changed",
    Fate.REMOVED: "will be removed",
    Fate.SAME: "unchanged",
    Fate.REFUSED: "refused",
}


@dataclass(frozen=True)
class Verdict:
    """Decision about a row. `group` is the group's slug, or, if there is no such group, the row's own text."""

    row: Row
    fate: Fate
    what: str
    group: str = ""
    is_new_person: bool = False
    membership: Fate = Fate.SAME
    problems: tuple[RosterProblem, ...] = ()

    @property
    def decision(self) -> tuple[object, ...]:
        """Decision about the membership alone, as an earlier group of the same roster may have made the person."""
        return self.row.line, self.membership, self.group, self.fate == Fate.REFUSED

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON, as pages and commands show it."""
        return {
            "line": self.row.line,
            "email": self.row.email,
            "group": self.group,
            "fate": self.fate.value,
            "what": self.what,
            "problems": [{"line": problem.line, "column": problem.column, "text": problem.text} for problem in self.problems],
        }


@dataclass(frozen=True)
class RosterPlan:
    """Decisions about all rows of a roster, and problems of the file as a whole."""

    verdicts: tuple[Verdict, ...]
    problems: tuple[RosterProblem, ...]
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by fate."""
        counts = Counter(verdict.fate for verdict in self.verdicts)
        return {fate.value: counts[fate] for fate in Fate}

    @property
    def is_clean(self) -> bool:
        """True if no row is refused, and the file has no problems."""
        return not self.problems and not self.counts[Fate.REFUSED]

    @property
    def changes_something(self) -> bool:
        """True if there is anything to apply."""
        return any(verdict.fate in (Fate.ADDED, Fate.CHANGED, Fate.REMOVED) for verdict in self.verdicts)

    @property
    def digest(self) -> str:
        """SHA-256 digest of all decisions: it changes if anything is decided otherwise."""
        decided = [verdict.as_dict() for verdict in self.verdicts], [str(problem) for problem in self.problems]
        return hashlib.sha256(json.dumps(decided).encode()).hexdigest()


def make_plan(reading: Reading) -> RosterPlan:
    """Decide about every row. Changes nothing."""
    known = Known.of(reading.rows)
    return RosterPlan(
        tuple(decide(row, known) for row in _refuse_contradictions(reading.rows, known)), reading.problems, reading.notes
    )


def decide(row: Row, known: Known) -> Verdict:
    """Decide about one row."""
    problems = [*row.problems, *_conflicts(row, known)]
    group = known.group(row.group)
    slug = group.slug if group else row.group
    if problems:
        return Verdict(row, Fate.REFUSED, " ".join(map(str, problems)), slug, problems=tuple(problems))
    user = known.people.get(row.email)
    membership = known.memberships.get((user.pk, group.pk)) if user and group else None
    if row.action == REMOVE:
        return _removal(row, slug, membership)
    renamed = [f"name: {row.name}"] if user and row.name and row.name != user.name else []
    if group is None or membership is not None:
        changes = renamed + (_changes(row, membership) if membership else [])
        changed = Fate.CHANGED if len(changes) > len(renamed) else Fate.SAME
        if user is None:
            return Verdict(row, Fate.ADDED, "A new person, in no group.", slug, is_new_person=True)
        if changes:
            return Verdict(row, Fate.CHANGED, "; ".join(changes), slug, membership=changed)
        return Verdict(row, Fate.SAME, f"In {slug} already, just so." if group else "Known already, just so.", slug)
    what = "; ".join([*([] if user else ["a new person"]), *_new_access(row), *renamed])
    return Verdict(row, Fate.ADDED, what, slug, is_new_person=user is None, membership=Fate.ADDED)


def _refuse_contradictions(rows: Iterable[Row], known: Known) -> list[Row]:
    """Add problems to the rows of one file that repeat or contradict each other."""
    rows = list(rows)
    same_membership: dict[tuple[str, object], list[Row]] = defaultdict(list)
    names: dict[str, dict[str, int]] = defaultdict(dict)
    for row in rows:
        same_membership[_person_and_group(row, known)].append(row)
        if row.name and row.action != REMOVE:
            names[row.email].setdefault(row.name, row.line)
    return [
        _with_contradictions(row, same_membership[_person_and_group(row, known)], names[row.email]) if row.email else row
        for row in rows
    ]


def _person_and_group(row: Row, known: Known) -> tuple[str, object]:
    """Return the person and the group, the same whether the row has the group's slug or its name."""
    group = known.group(row.group)
    return row.email, group.pk if group else row.group.casefold()


def _with_contradictions(row: Row, same_membership: list[Row], names: dict[str, int]) -> Row:
    problems = []
    others = [other for other in same_membership if other.line != row.line]
    if others:
        lines = ", ".join(str(other.line) for other in others[:5])
        if any(other.says != row.says for other in others):
            text = f"Line {lines} says something else about the same person and group. Keep one of them."
            problems.append(RosterProblem(row.line, "email", text))
        elif row.line != min(other.line for other in same_membership):
            text = f"Line {same_membership[0].line} says the same already. Leave one of them out."
            problems.append(RosterProblem(row.line, "email", text))
    if len(names) > 1 and row.name and row.action != REMOVE:
        lines = ", ".join(str(line) for line in list(names.values())[:5])
        problems.append(RosterProblem(row.line, "name", f"Lines {lines} give this person different names. Give one."))
    return replace(row, problems=(*row.problems, *problems)) if problems else row


def _conflicts(row: Row, known: Known) -> list[RosterProblem]:
    """Return the row's problems with existing people, groups and memberships."""
    conflicts: list[tuple[str, str]] = []
    user, group = known.people.get(row.email), known.group(row.group)
    if row.group and group is None:
        conflicts.append(("group", f"There is no group {row.group!r}. Make it first, or correct its slug."))
    elif group is not None and row.action != REMOVE and (group.retired_at or group.pk in known.retiring):
        how = "retired" if group.retired_at else "being retired"
        conflicts.append(("group", f"The group {group.slug} is {how}: nobody can be added."))
    if row.action == REMOVE:
        if not row.group:
            conflicts.append(("group", "Say from which group. A whole account is removed on the page of people."))
        if row.email and user is None:
            conflicts.append(("email", f"Nobody is known as {row.email}."))
    else:
        conflicts += _conflicts_of_adding(row, group, known)
    complained = {problem.column for problem in row.problems}
    return [RosterProblem(row.line, column, text) for column, text in conflicts if column not in complained]


def _conflicts_of_adding(row: Row, group: Group | None, known: Known) -> list[tuple[str, str]]:
    conflicts = []
    user = known.people.get(row.email)
    if user is not None and not user.is_active:
        conflicts.append(("email", f"{row.email} is not active. Activate the account first."))
    if not row.group:
        for column, value in (("access", row.access), ("manager", row.manager), ("ends_on", row.ends_on)):
            if value:
                conflicts.append((column, "This needs a group, and the row names none."))
    membership = known.memberships.get((user.pk, group.pk)) if user and group else None
    if membership and row.access and row.access != membership.access:
        advice = "Remove them with one file, and add them anew with the next."
        conflicts.append(("access", f"They are in {row.group} with {membership.access}, which a roster does not change. {advice}"))
    if row.ends_on and not (membership and _last_day(membership) == row.ends_on):
        try:
            check_end(last_moment(row.ends_on))
        except InvalidEnd as error:
            conflicts.append(("ends_on", f"{str(error).split(' Nothing was changed')[0]} Give another day."))
    return conflicts


def _removal(row: Row, slug: str, membership: Membership | None) -> Verdict:
    if membership is None:
        return Verdict(row, Fate.SAME, f"Not in {slug}.", slug)
    return Verdict(row, Fate.REMOVED, f"Loses access to {slug} ({membership.access}).", slug, membership=Fate.REMOVED)


def _changes(row: Row, membership: Membership) -> list[str]:
    changes = []
    if row.manager is not None and row.manager != membership.is_manager:
        changes.append("becomes a manager" if row.manager else "is no manager any more")
    if row.ends_on and row.ends_on != _last_day(membership):
        changes.append(f"ends on {row.ends_on}")
    if row.never_ends and membership.ends_at:
        changes.append("has no end date any more")
    return changes


def _new_access(row: Row) -> list[str]:
    words = [row.access or Access.FEDERATED.value]
    if row.manager:
        words.append("as a manager")
    if row.ends_on:
        words.append(f"ends on {row.ends_on}")
    return words


def _last_day(membership: Membership) -> date | None:
    return timezone.localtime(membership.ends_at).date() if membership.ends_at else None
