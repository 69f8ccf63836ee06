"""Rosters that wait for a worker: applied, and looked at again where something changed or a worker has gone."""

import logging
from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.utils import timezone

from control_plane.access.rosters.models import Roster
from control_plane.access.rosters.services.apply import Outcome, apply
from control_plane.access.rosters.services.plan import Plan, make_plan
from control_plane.access.rosters.services.read import read_text
from control_plane.base.claims import claim_due
from control_plane.base.errors import Refused

logger = logging.getLogger("cohort.rosters")
# A worker notes each group's end; one that says nothing for so long has gone.
PATIENCE = timedelta(minutes=30)
MAX_NOTE = 400


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
        apply(read_text(roster.text), digest=roster.digest, good_rows=roster.good_rows, actor=roster.actor(), tell=tell)
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

    def put_back(pk: int) -> None:
        _put_back(Roster.objects.get(pk=pk), "Its worker stopped half-way. What was done is below; the rest can be applied again.")

    return claim_due(stuck, "touched_at", put_back, limit=10, until=timezone.now(), state=Roster.State.CHECKED)


def note_plan(roster: Roster, plan: Plan) -> None:
    """Keep what the dry run said, in the roster's row."""
    roster.fates = [verdict.as_dict() for verdict in plan.verdicts]
    roster.problems = [str(problem) for problem in plan.problems]
    roster.counts, roster.digest, roster.checked_at = plan.counts, plan.digest, timezone.now()
    roster.save()


def _put_back(roster: Roster, note: str) -> None:
    """Show the dry run again, as it would be now, and say why."""
    roster.state, roster.note = Roster.State.CHECKED, note[:MAX_NOTE]
    note_plan(roster, make_plan(read_text(roster.text)))
