"""A retired group's data, archived or deleted by a worker in short slices that another worker can go on with."""

import time

from django.db.models import F

from control_plane.retirement import leases, s3
from control_plane.retirement.models import DataChoice, DataPlace, Retirement
from control_plane.retirement.steps import finish


def work_on(retirement_id: int) -> bool:
    """Go on with the data of one retirement for a while. For a worker. Returns whether a task is to go on with what is left."""
    rows = Retirement.objects.filter(state=Retirement.State.DATA).select_related("group")
    return leases.work_on(rows, retirement_id, work=_slice, finish=finish)


def _slice(retirement: Retirement, token: str) -> bool:
    """Steps until the time is up. Returns whether nothing is left. Raises S3Failure or LeaseLost."""
    deadline = time.monotonic() + leases.SLICE_SECONDS
    for place in retirement.places.filter(is_done=False):
        is_last = False
        while not is_last:
            if time.monotonic() > deadline:
                return False
            is_last = _step(retirement, place, token)
    return True


def _step(retirement: Retirement, place: DataPlace, token: str) -> bool:
    prefix = f"{retirement.group.slug}/"
    if retirement.data == DataChoice.DELETE:
        step = s3.delete_step(place.bucket, prefix)
    else:
        step = s3.archive_step(place.bucket, prefix, place.marker)
    leases.renew(retirement, token)
    place.marker = step.marker or place.marker
    DataPlace.objects.filter(pk=place.pk).update(
        objects_done=F("objects_done") + step.count,
        bytes_done=F("bytes_done") + step.size,
        left_out=F("left_out") + step.left_out,
        marker=place.marker,
        is_done=step.is_last,
    )
    return step.is_last
