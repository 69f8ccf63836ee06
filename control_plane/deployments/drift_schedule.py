"""Schedule of drift checks: nightly, and once after a restore. The sweep and a command enqueue; a task checks (`drift`)."""

from datetime import timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from control_plane.base.claims import claim_due
from control_plane.base.config import config
from control_plane.deployments.models import DriftState, Stack
from control_plane.deployments.tasks import check_drift

# Hours (UTC) in which stacks are checked whose last check is older than CHECK_AGE.
NIGHT = range(1, 5)
CHECK_AGE = timedelta(hours=20)
CHECK_PATIENCE = timedelta(minutes=15)
MAX_CHECKS_AT_ONCE = 50


def check_drift_by_night() -> None:
    """Start the drift checks that are due, if the site has them enabled (COHORT_DRIFT_CHECK)."""
    if config().cohort_drift_check:
        start_due_drift_checks()


def compare_restored() -> None:
    """Start a drift check of each stack of a restored database, once."""
    unseen = Q(known_generation__isnull=False, drift_checked_at__isnull=True, generation__gt=0)
    _start_checks(Stack.objects.filter(unseen), MAX_CHECKS_AT_ONCE)


def start_due_drift_checks(*, at_any_hour: bool = False) -> int:
    """Enqueue the drift checks that are due, MAX_CHECKS_AT_ONCE under way at most. Returns how many."""
    now = timezone.now()
    stuck = Q(drift_state=DriftState.CHECKING, drift_checked_at__lt=now - CHECK_PATIENCE)
    old = Q(drift_checked_at__isnull=True) | Q(drift_checked_at__lt=now - CHECK_AGE)
    is_time = at_any_hour or now.hour in NIGHT
    due = (old & ~Q(drift_state=DriftState.CHECKING)) | stuck if is_time else stuck
    # No more than a worker checks within the patience, or the same ones would be enqueued again and again.
    room = max(0, MAX_CHECKS_AT_ONCE - Stack.objects.filter(drift_state=DriftState.CHECKING).exclude(stuck).count())
    return _start_checks(Stack.objects.filter(due, deployed_generation=F("generation"), generation__gt=0), room)


def _start_checks(due: QuerySet[Stack], limit: int) -> int:
    now, checking = timezone.now(), DriftState.CHECKING
    return claim_due(due, "drift_checked_at", check_drift.enqueue, limit=limit, until=now, drift_state=checking)
