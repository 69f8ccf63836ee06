"""Schedule of checks of open jobs while no page is open. Enqueues tasks for workers."""

from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from control_plane.base.claims import claim_due
from control_plane.base.config import config
from control_plane.research.jobs.models import Job
from control_plane.research.jobs.tasks import check_job

# Each check takes three requests.
MAX_AT_ONCE = 50
# Silent jobs are checked less often; jobs older than MAX_AGE only on their own page.
SILENT_WAIT = timedelta(minutes=15)
MAX_AGE = timedelta(days=60)


def check_open_jobs() -> int:
    """Enqueue checks of open jobs that were not checked lately, longest unchecked first. Returns how many."""
    now = timezone.now()
    late = Q(looked_at=None) | Q(looked_at__lt=now - timedelta(seconds=config().job_look_seconds))
    silent = Q(state=Job.State.SILENT) & Q(looked_at__gte=now - SILENT_WAIT)
    due = Job.objects.open().filter(late, submitted_at__gt=now - MAX_AGE).exclude(silent)
    longest_unseen = due.order_by(F("looked_at").asc(nulls_first=True), "pk")
    return claim_due(longest_unseen, "looked_at", check_job.enqueue, limit=MAX_AT_ONCE, until=now)
