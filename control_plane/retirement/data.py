"""A retired group's data, archived or deleted by a worker in short slices that another worker can go on with."""

import logging
import time
import uuid
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from control_plane.retirement import s3
from control_plane.retirement.models import DataChoice, DataPlace, Retirement
from control_plane.retirement.steps import TASK_WAIT, finish
from control_plane.retirement.tasks import work_on_data

logger = logging.getLogger("cohort.retirement")

# How long one task goes on before it lets others have their turn.
SLICE_SECONDS = 15.0
# A worker that died is taken to have done so after this long without a step.
LEASE = timedelta(minutes=2)
RETRY = timedelta(minutes=5)


class LeaseLost(RuntimeError):
    """Another worker goes on with it."""


def work_on(retirement_id: int) -> None:
    """Go on with the data of one retirement for a while, and enqueue what is left. For a worker."""
    token = uuid.uuid4().hex
    now = timezone.now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    mine = Retirement.objects.filter(free, pk=retirement_id, state=Retirement.State.DATA)
    if not mine.update(lease_owner=token, lease_until=now + LEASE):
        return
    retirement = Retirement.objects.select_related("group").get(pk=retirement_id)
    try:
        is_done = _slice(retirement, token)
    except LeaseLost:
        logger.warning("%s: another worker goes on with its data", retirement.group)
        return
    except s3.S3Failure as error:
        logger.warning("%s: %s", retirement.group, error)
        _let_go(retirement, token, error=str(error), not_before=timezone.now() + RETRY)
        return
    # Until the task that follows has had its turn, the sweep starts no second one.
    _let_go(retirement, token, error="", not_before=timezone.now() + TASK_WAIT)
    if is_done:
        finish(retirement)
    else:
        work_on_data.enqueue(retirement_id)


def _slice(retirement: Retirement, token: str) -> bool:
    """Steps until the time is up. Returns whether nothing is left. Raises S3Failure or LeaseLost."""
    deadline = time.monotonic() + SLICE_SECONDS
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
    held = Retirement.objects.filter(pk=retirement.pk, lease_owner=token)
    if not held.update(lease_until=timezone.now() + LEASE):
        raise LeaseLost
    place.marker = step.marker or place.marker
    DataPlace.objects.filter(pk=place.pk).update(
        objects_done=F("objects_done") + step.count,
        bytes_done=F("bytes_done") + step.size,
        left_out=F("left_out") + step.left_out,
        marker=place.marker,
        is_done=step.is_last,
    )
    return step.is_last


def _let_go(retirement: Retirement, token: str, **fields: object) -> None:
    Retirement.objects.filter(pk=retirement.pk, lease_owner=token).update(lease_owner="", lease_until=None, **fields)
