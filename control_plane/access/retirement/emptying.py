"""A retired analysis's bucket, emptied by a worker in short slices that another worker can go on with, and then deleted."""

import time

from django.db.models import F

from control_plane.access.retirement import leases, s3
from control_plane.access.retirement.analysis_steps import finish
from control_plane.access.retirement.models import AnalysisRetirement


def work_on(retirement_id: int) -> bool:
    """Go on with one bucket for a while. For a worker. Returns whether a task is to go on with what is left."""
    rows = AnalysisRetirement.objects.filter(state=AnalysisRetirement.State.EMPTYING).select_related("analysis__stack")
    return leases.work_on(rows, retirement_id, work=_slice, finish=finish)


def _slice(retirement: AnalysisRetirement, token: str) -> bool:
    """Steps until the time is up. Returns whether the bucket is gone. Raises S3Failure or LeaseLost."""
    deadline = time.monotonic() + leases.SLICE_SECONDS
    while time.monotonic() <= deadline:
        if _step(retirement, token):
            s3.delete_bucket(retirement.analysis.bucket, retirement.analysis.stack.place)
            return True
    return False


def _step(retirement: AnalysisRetirement, token: str) -> bool:
    step = s3.delete_step(retirement.analysis.bucket, "", retirement.analysis.stack.place)
    leases.renew(retirement, token)
    AnalysisRetirement.objects.filter(pk=retirement.pk).update(
        objects_done=F("objects_done") + step.count, bytes_done=F("bytes_done") + step.size
    )
    return step.is_last
