"""Rosters that wait for a worker: applying them, and recovering those whose worker has stopped."""

import logging
from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.utils import timezone

from control_plane.access.rosters.models import Roster
from control_plane.access.rosters.services.apply import Outcome, apply_reading
from control_plane.access.rosters.services.plan import RosterPlan, make_plan
from control_plane.access.rosters.services.read import read_roster_text
from control_plane.base.claims import claim_due
from control_plane.base.errors import Refused

logger = logging.getLogger("cohort.rosters")
# A worker saves the roster after each group; one that has not for so long has stopped.
STUCK_AFTER = timedelta(minutes=30)
MAX_NOTE_CHARACTERS = 400


def apply_waiting(roster_id: int) -> None:
    """Apply a waiting roster, if no other worker was faster. The result is saved in its row."""
    if not Roster.objects.filter(pk=roster_id, state=Roster.State.WAITING).update(
        state=Roster.State.APPLYING, touched_at=timezone.now()
    ):
        return
    roster = Roster.objects.select_related("asked_by_user").get(pk=roster_id)

    def save_outcome(outcome: Outcome) -> None:
        roster.outcomes.append(outcome.as_dict())
        roster.save(update_fields=["outcomes", "touched_at"])

    try:
        apply_reading(
            read_roster_text(roster.text),
            digest=roster.digest,
            good_rows=roster.good_rows,
            actor=roster.actor(),
            on_outcome=save_outcome,
        )
    except (Refused, PermissionDenied) as refusal:
        _put_back(roster, str(refusal))
    except Exception:
        logger.exception("roster %d stopped half-way", roster.pk)
        _put_back(roster, "It stopped half-way by an error of Cohort’s own. What was done is below; the rest can be applied again.")
    else:
        # The audit trail names the people; the file with everybody's address need not be kept as well.
        failed = any(outcome["error"] for outcome in roster.outcomes)
        if failed:
            _put_back(roster, "Not all groups could be changed: see below. What was not done can be applied again.")
        else:
            roster.state, roster.text, roster.fates = Roster.State.APPLIED, "", []
            roster.save()


def recover_stuck() -> int:
    """Put rosters whose worker has stopped back to checked. The new dry run shows finished rows as unchanged. Returns how many."""
    stuck = Roster.objects.filter(state__in=Roster.UNDER_WAY, touched_at__lt=timezone.now() - STUCK_AFTER)

    def put_back(pk: int) -> None:
        _put_back(Roster.objects.get(pk=pk), "Its worker stopped half-way. What was done is below; the rest can be applied again.")

    return claim_due(stuck, "touched_at", put_back, limit=10, until=timezone.now(), state=Roster.State.CHECKED)


def store_plan(roster: Roster, plan: RosterPlan) -> None:
    """Save the result of the dry run in the roster's row."""
    roster.fates = [verdict.as_dict() for verdict in plan.verdicts]
    roster.problems = [str(problem) for problem in plan.problems]
    roster.counts, roster.digest, roster.checked_at = plan.counts, plan.digest, timezone.now()
    roster.save()


def _put_back(roster: Roster, note: str) -> None:
    """Put the roster back to checked, with a new dry run, and a note that tells why."""
    roster.state, roster.note = Roster.State.CHECKED, note[:MAX_NOTE_CHARACTERS]
    store_plan(roster, make_plan(read_roster_text(roster.text)))
