"""Cleanup of a retired group's data: archived or deleted in short slices that any worker can continue."""

import time

from django.db.models import F

from control_plane.access.retirement import leases, s3
from control_plane.access.retirement.models import DataChoice, DataPlace, Retirement
from control_plane.access.retirement.steps import finish
from control_plane.base.aws import Place
from control_plane.deployments.models import Stack


def clean_up_data(retirement_id: int) -> bool:
    """Archive or delete the data of one retirement for one slice. For a worker. Returns whether a task is to continue."""
    rows = Retirement.objects.filter(state=Retirement.State.DATA).select_related("group__stack")
    return leases.run_slice(rows, retirement_id, work=_slice, finish=finish)


def _slice(retirement: Retirement, token: str) -> bool:
    """Take steps until the slice's time is up. Returns whether nothing is left. Raises S3Failure or LeaseLost."""
    deadline = time.monotonic() + leases.SLICE_SECONDS
    for folder in retirement.places.filter(is_done=False):
        place = _place_of(folder)
        is_last = False
        while not is_last:
            if time.monotonic() > deadline:
                return False
            is_last = _step(retirement, folder, place, token)
    return True


def _step(retirement: Retirement, folder: DataPlace, place: Place, token: str) -> bool:
    prefix = f"{retirement.group.slug}/"
    if retirement.data == DataChoice.DELETE:
        step = s3.delete_step(folder.bucket, prefix, place)
    else:
        step = s3.archive_step(folder.bucket, prefix, folder.marker, place)
    leases.renew(retirement, token)
    folder.marker = step.marker or folder.marker
    DataPlace.objects.filter(pk=folder.pk).update(
        objects_done=F("objects_done") + step.count,
        bytes_done=F("bytes_done") + step.size,
        left_out=F("left_out") + step.left_out,
        marker=folder.marker,
        is_done=step.is_last,
    )
    return step.is_last


def _place_of(folder: DataPlace) -> Place:
    """Return the bucket's account and region: its storage stack's, or the group's own if its analysis has been removed."""
    storage = Stack.objects.filter(analyses__bucket=folder.bucket).first()
    return (storage or folder.retirement.group.stack).place
