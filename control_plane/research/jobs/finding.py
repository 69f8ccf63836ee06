"""Lookup of the job that a page is about."""

from control_plane.base.audit.refusals import NotYours
from control_plane.research.jobs.models import Job
from control_plane.research.storage.group_folder import GroupFolder


def find_job(folder: GroupFolder, timestamp: int) -> Job:
    """Return the job with this timestamp in the folder. Raises NotYours."""
    job = (
        Job.objects.select_related("submitted_by", "resubmits")
        .filter(group=folder.group, analysis=folder.analysis, timestamp=timestamp)
        .first()
    )
    if job is None:
        raise NotYours("There is no such job.")
    # They are known already, with what their addresses need.
    job.group, job.analysis = folder.group, folder.analysis
    if job.resubmits:
        job.resubmits.group, job.resubmits.analysis = folder.group, folder.analysis
    return job
