"""Rosters that were uploaded to a page: looked at, applied by a worker, and looked at again where something changed."""

import logging
from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from control_plane.accounts.permissions import require_administrator
from control_plane.audit.actors import Actor
from control_plane.audit.models import record
from control_plane.errors import Refused
from control_plane.rosters.models import Roster
from control_plane.rosters.services.apply import ChangedMeanwhile, Outcome, apply, check_applicable
from control_plane.rosters.services.encoding import decode
from control_plane.rosters.services.plan import Plan, make_plan
from control_plane.rosters.services.read import Reading, read_text
from control_plane.rosters.tasks import apply_roster

logger = logging.getLogger("cohort.rosters")
# A worker notes each group's end; one that says nothing for so long has gone.
PATIENCE = timedelta(minutes=30)
MOST_NOTE = 400


class UnreadableFile(Refused):
    """The file is not one that can be looked at."""


class NotReady(Refused):
    """The roster is being applied, or was."""


def upload(*, file_name: str, content: bytes, actor: Actor) -> Roster:
    """Look at a file, and keep it until it is applied. Raises UnreadableFile or PermissionDenied."""
    require_administrator(actor)
    decoded = decode(content)
    if decoded.complaint:
        raise UnreadableFile(decoded.complaint)
    reading = read_text(decoded.text, note=decoded.note)
    if not reading.rows:
        raise UnreadableFile(" ".join(map(str, reading.problems)) or "The file holds no rows. Nothing was read.")
    name = "".join(letter for letter in file_name if letter.isprintable())[:120] or "roster.csv"
    roster = Roster(file_name=name, text=decoded.text, asked_by=actor.label, asked_by_user=actor.user, address=actor.address)
    roster.notes = list(reading.notes)
    with transaction.atomic():
        _look(roster, make_plan(reading))
        record(actor, "roster.check", name, rows=len(reading.rows), roster=roster.pk)
    return roster


def look_again(roster: Roster, *, actor: Actor) -> Roster:
    """Make the dry run anew, against the database as it is now. Raises NotReady or PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        roster = _ready(roster)
        roster.note = ""
        _look(roster, make_plan(_reading(roster)))
    return roster


def ask_to_apply(roster: Roster, *, digest: str, good_rows: bool, actor: Actor) -> Roster:
    """Have a worker apply what the dry run of this digest showed. Whoever asks answers for it.

    Raises NotReady, ChangedMeanwhile, HasRefusedRows, NothingToApply or PermissionDenied.
    """
    require_administrator(actor)
    with transaction.atomic():
        roster = _ready(roster)
        plan = make_plan(_reading(roster))
        is_as_shown = digest == roster.digest == plan.digest
        if is_as_shown:
            check_applicable(plan, good_rows=good_rows)
            roster.state, roster.good_rows, roster.note, roster.outcomes = Roster.State.WAITING, good_rows, "", []
            roster.asked_by, roster.asked_by_user, roster.address = actor.label, actor.user, actor.address
            roster.save()
            record(actor, "roster.apply_asked", roster.file_name, roster=roster.pk, counts=plan.counts, good_rows=good_rows)
            apply_roster.enqueue(roster.pk)
        else:
            _look(roster, plan)
    if not is_as_shown:
        raise ChangedMeanwhile(plan)
    return roster


def apply_waiting(roster_id: int) -> None:
    """Apply a roster that waits, if no other worker was faster. What it came to is in its row."""
    if not Roster.objects.filter(pk=roster_id, state=Roster.State.WAITING).update(
        state=Roster.State.APPLYING, touched_at=timezone.now()
    ):
        return
    roster = Roster.objects.select_related("asked_by_user").get(pk=roster_id)

    def tell(outcome: Outcome) -> None:
        roster.outcomes.append(outcome.as_dict())
        roster.save(update_fields=["outcomes", "touched_at"])

    try:
        apply(_reading(roster), digest=roster.digest, good_rows=roster.good_rows, actor=roster.actor(), tell=tell)
    except (Refused, PermissionDenied) as refusal:
        _put_back(roster, str(refusal))
    except Exception:
        logger.exception("roster %d stopped half-way", roster.pk)
        _put_back(roster, "It stopped half-way by an error of Cohort’s own. What was done is below; the rest can be applied again.")
    else:
        # Who it was about is in the audit trail; the file with everybody's address need not be kept as well.
        failed = any(outcome["error"] for outcome in roster.outcomes)
        if failed:
            _put_back(roster, "Not all groups could be changed: see below. What was not done can be applied again.")
        else:
            roster.state, roster.text, roster.fates = Roster.State.APPLIED, "", []
            roster.save()


def take_up_stuck() -> int:
    """Have rosters looked at again whose worker has gone. What was done is told as being so already. Returns how many."""
    stuck = Roster.objects.filter(state__in=Roster.UNDER_WAY, touched_at__lt=timezone.now() - PATIENCE)
    taken = 0
    for roster in stuck[:10]:
        with transaction.atomic():
            if stuck.filter(pk=roster.pk).update(state=Roster.State.CHECKED, touched_at=timezone.now()):
                roster.refresh_from_db()
                _put_back(roster, "Its worker stopped half-way. What was done is below; the rest can be applied again.")
                taken += 1
    return taken


def _put_back(roster: Roster, note: str) -> None:
    """Show the dry run again, as it would be now, and say why."""
    roster.state, roster.note = Roster.State.CHECKED, note[:MOST_NOTE]
    _look(roster, make_plan(_reading(roster)))


def _look(roster: Roster, plan: Plan) -> None:
    roster.fates = [verdict.as_dict() for verdict in plan.verdicts]
    roster.problems = [str(problem) for problem in plan.problems]
    roster.counts, roster.digest, roster.checked_at = plan.counts, plan.digest, timezone.now()
    roster.save()


def _ready(roster: Roster) -> Roster:
    """The roster, locked, if it can be looked at and applied."""
    roster = Roster.objects.select_for_update().get(pk=roster.pk)
    if roster.state != Roster.State.CHECKED:
        raise NotReady(f"This file is {roster.get_state_display()} already. Nothing was changed; upload it again for a new look.")
    return roster


def _reading(roster: Roster) -> Reading:
    return read_text(roster.text)
