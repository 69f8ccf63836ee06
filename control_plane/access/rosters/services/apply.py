"""Application of a roster: one transaction and one deployment for each group, and only what the dry run showed.

Rows are decided again: for the whole file before anything is changed, and for each group once its stack is locked.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction

from control_plane.access.groups.models import Access, Group
from control_plane.access.groups.services.expiry import last_moment, set_end
from control_plane.access.groups.services.members import add_members, find_or_create_user, remove_members, set_manager
from control_plane.access.rosters.services.known import Known
from control_plane.access.rosters.services.plan import Fate, RosterPlan, Verdict, decide, make_plan
from control_plane.access.rosters.services.read import Reading
from control_plane.accounts.models import User
from control_plane.accounts.permissions import require_administrator
from control_plane.accounts.services.profile import rename
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import lock

logger = logging.getLogger("cohort.rosters")
# People without a group in one transaction, so that nobody waits for the database's lock for long.
PEOPLE_PER_TRANSACTION = 100


class ChangedMeanwhile(Refused):
    """The database has changed since the dry run. `plan` is the new dry run."""

    def __init__(self, plan: RosterPlan) -> None:
        super().__init__("Something has changed since the dry run. Nothing was applied; look at the new dry run, then apply that.")
        self.plan = plan


class HasRefusedRows(Refused):
    """Rows are refused, and applying only the good ones was not requested."""


class NothingToApply(Refused):
    """No row would change anything."""


class _GroupChanged(Refused):
    """The group has changed since the whole file was decided again."""


@dataclass(frozen=True)
class Outcome:
    """Result for one group's rows, or, with an empty group, for people without one. `error` tells why nothing was changed."""

    group: str
    added: int = 0
    changed: int = 0
    removed: int = 0
    deployment: int | None = None
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON, as pages and commands show it."""
        return asdict(self)


def apply_reading(
    reading: Reading,
    *,
    digest: str,
    good_rows: bool = False,
    actor: Actor,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Apply the plan with this digest; with `good_rows`, even if some rows are refused. Calls `on_outcome` after each group.

    A group that AWS or a service refuses does not stop the others. Raises ChangedMeanwhile, HasRefusedRows, NothingToApply or
    PermissionDenied, all before anything is changed.
    """
    require_administrator(actor)
    plan = make_plan(reading)
    if plan.digest != digest:
        raise ChangedMeanwhile(plan)
    check_applicable(plan, good_rows=good_rows)
    outcomes = []
    for slug, verdicts in _by_group(plan).items():
        outcome = _apply_group(slug, verdicts, actor) if slug else _apply_people(verdicts, actor)
        logger.info("roster: %s", outcome)
        on_outcome(outcome)
        outcomes.append(outcome)
    return outcomes


def check_applicable(plan: RosterPlan, *, good_rows: bool) -> None:
    """Raise HasRefusedRows or NothingToApply if the plan cannot be applied."""
    if not plan.is_clean and not good_rows:
        count = plan.counts[Fate.REFUSED]
        obstacle = f"{count} rows are refused" if count else "The file has columns that are ignored"
        raise HasRefusedRows(f"{obstacle}. Nothing was applied; correct the file, or choose to apply the good rows all the same.")
    if not plan.changes_something:
        raise NothingToApply("No row would change anything. Nothing was applied.")


def _by_group(plan: RosterPlan) -> dict[str, list[Verdict]]:
    """Return the rows that change something by group's slug; rows without a group come first."""
    by_group: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in plan.verdicts:
        if verdict.fate in (Fate.ADDED, Fate.CHANGED, Fate.REMOVED):
            by_group[verdict.group].append(verdict)
    return dict(sorted(by_group.items()))


def _apply_people(verdicts: Sequence[Verdict], actor: Actor) -> Outcome:
    for start in range(0, len(verdicts), PEOPLE_PER_TRANSACTION):
        some = verdicts[start : start + PEOPLE_PER_TRANSACTION]
        with transaction.atomic():
            known = Known.of(verdict.row for verdict in some).people
            for verdict in some:
                _update_person(verdict, known, actor)
    added = sum(verdict.is_new_person for verdict in verdicts)
    return Outcome("", added=added, changed=len(verdicts) - added)


def _apply_group(slug: str, verdicts: Sequence[Verdict], actor: Actor) -> Outcome:
    """Apply one group's rows, all or none."""
    try:
        with transaction.atomic():
            group = Group.objects.get(slug=slug)
            group.stack = lock(group.stack_id)
            return _carry_out(group, verdicts, _people_if_unchanged(verdicts), actor)
    except Refused as error:
        return Outcome(slug, error=str(error))


def _people_if_unchanged(verdicts: Sequence[Verdict]) -> dict[str, User]:
    """Return the rows' existing people by address. Raises _GroupChanged if the rows would be decided otherwise now."""
    known = Known.of(verdict.row for verdict in verdicts)
    if [decide(verdict.row, known).decision for verdict in verdicts] != [verdict.decision for verdict in verdicts]:
        raise _GroupChanged("The group has changed since the dry run. Nothing in it was changed; check the file again.")
    return known.people


def _carry_out(group: Group, verdicts: Sequence[Verdict], known: dict[str, User], actor: Actor) -> Outcome:
    deployment: Deployment | None = None
    # Removals first: they make room for new members.
    if leaving := [known[verdict.row.email] for verdict in verdicts if verdict.membership == Fate.REMOVED]:
        deployment = remove_members(group=group, users=leaving, actor=actor)
    people = {verdict.row.line: _update_person(verdict, known, actor) for verdict in verdicts if verdict.membership != Fate.REMOVED}
    coming: dict[tuple[Access, bool], list[User]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.membership == Fate.ADDED:
            access = Access(verdict.row.access or Access.FEDERATED)
            coming[access, bool(verdict.row.manager)].append(people[verdict.row.line])
    for (access, as_managers), users in coming.items():
        deployment = add_members(group=group, users=users, access=access, as_managers=as_managers, actor=actor)
    for verdict in verdicts:
        if verdict.membership in (Fate.ADDED, Fate.CHANGED):
            _set_manager_and_end(group, people[verdict.row.line], verdict, actor)
    counted = [verdict.fate for verdict in verdicts]
    outcome = Outcome(
        group.slug,
        added=counted.count(Fate.ADDED),
        changed=counted.count(Fate.CHANGED),
        removed=counted.count(Fate.REMOVED),
        deployment=deployment.pk if deployment else None,
    )
    record(actor, "roster.apply", f"group {group.slug}", **{name: value for name, value in outcome.as_dict().items() if value})
    return outcome


def _update_person(verdict: Verdict, known: dict[str, User], actor: Actor) -> User:
    user = known.get(verdict.row.email) or find_or_create_user(verdict.row.email, actor=actor)
    if verdict.row.name and verdict.row.name != user.name:
        rename(user=user, name=verdict.row.name, actor=actor)
    return user


def _set_manager_and_end(group: Group, user: User, verdict: Verdict, actor: Actor) -> None:
    """Set what AWS does not hold: whether the member manages the group, and the membership's end date."""
    row = verdict.row
    if row.manager is not None and verdict.membership == Fate.CHANGED:
        set_manager(group=group, user=user, is_manager=row.manager, actor=actor)
    if row.ends_on or row.never_ends:
        set_end(group=group, user=user, ends_at=last_moment(row.ends_on) if row.ends_on else None, actor=actor)
