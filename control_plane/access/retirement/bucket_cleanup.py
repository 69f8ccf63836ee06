"""Cleanup of a retired analysis's bucket: emptied in short slices that any worker can continue, then deleted."""

import time

from django.db.models import F

from control_plane.access.retirement import leases, s3
from control_plane.access.retirement.analysis_steps import finish
from control_plane.access.retirement.models import AnalysisRetirement


def clean_up_bucket(retirement_id: int) -> bool:
    """Empty one bucket for one slice. For a worker. Returns whether a task is to continue."""
    rows = AnalysisRetirement.objects.filter(state=AnalysisRetirement.State.EMPTYING).select_related("analysis__stack")
    return leases.run_slice(rows, retirement_id, work=_slice, finish=finish)


def _slice(retirement: AnalysisRetirement, token: str) -> bool:
    """Take steps until the slice's time is up. Returns whether the bucket is gone. Raises S3Failure or LeaseLost."""
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
