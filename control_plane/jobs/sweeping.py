"""What workers do about jobs while no page is open: see how they are, and end submissions that a page could not."""

import logging
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from control_plane.config import config
from control_plane.errors import Refused
from control_plane.groups.models import Grant
from control_plane.jobs.models import Job
from control_plane.jobs.submitting import WRITING, write
from control_plane.jobs.tasks import look_at_job
from control_plane.jobs.watching import look, note
from control_plane.storage.sessions import jobs_client

# Each takes three requests.
MOST_AT_ONCE = 50
# A job that was silent for long is looked at now and then; one that is older than this, on its own page alone.
SILENT_WAIT = timedelta(minutes=15)
OLDEST = timedelta(days=60)

logger = logging.getLogger("cohort.jobs")


def look_at_open_jobs() -> int:
    """Have the open jobs looked at that nobody looked at lately, the longest unseen first. Returns how many."""
    now = timezone.now()
    late = Q(looked_at=None) | Q(looked_at__lt=now - timedelta(seconds=config().job_look_seconds))
    silent = Q(state=Job.State.SILENT) & Q(looked_at__gte=now - SILENT_WAIT)
    due = Job.objects.open().filter(late, submitted_at__gt=now - OLDEST).exclude(silent)
    started = 0
    for pk, seen in due.order_by(F("looked_at").asc(nulls_first=True), "pk").values_list("pk", "looked_at")[:MOST_AT_ONCE]:
        # Whoever moves the time looks: two workers never both do.
        if Job.objects.filter(pk=pk, looked_at=seen).update(looked_at=now):
            look_at_job.enqueue(pk)
            started += 1
    return started


def look_at(job_id: int) -> None:
    """Look at one job, if its group may still reach it. What cannot be seen now is looked at again with the next sweep."""
    job = Job.objects.open().select_related("group__stack", "analysis", "submitted_by").filter(pk=job_id).first()
    if job is None or not _is_within_reach(job):
        return
    try:
        client = jobs_client(job.group, job.analysis)
        if job.written_at is None and timezone.now() - job.submitted_at > WRITING:
            write(client, job)
        note(job, look(job, client))
    except Refused as error:
        logger.warning("%s: not seen now, tried again later: %s", job.name, error)


def _is_within_reach(job: Job) -> bool:
    granted = Grant.objects.wanted().filter(group=job.group, analysis=job.analysis).exists()
    return granted and job.group.suspended_at is None and job.group.retired_at is None
