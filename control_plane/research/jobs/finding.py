"""The job that a page is about."""

from control_plane.base.audit.refusals import NotYours
from control_plane.research.jobs.models import Job
from control_plane.research.storage.group_folder import GroupFolder


def find_job(place: GroupFolder, timestamp: int) -> Job:
    """The job of this place with this timestamp. Raises NotYours."""
    found = (
        Job.objects.select_related("submitted_by", "resubmits")
        .filter(group=place.group, analysis=place.analysis, timestamp=timestamp)
        .first()
    )
    if found is None:
        raise NotYours("There is no such job.")
    # They are known already, with what their addresses need.
    found.group, found.analysis = place.group, place.analysis
    if found.resubmits:
        found.resubmits.group, found.resubmits.analysis = place.group, place.analysis
    return found
