"""Work on data that takes long: done by workers in short slices, one worker at a time, each going on where the last one stopped."""

import logging
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from control_plane.retirement import s3

logger = logging.getLogger("cohort.retirement")

# How long one task goes on before it lets others have their turn.
SLICE_SECONDS = 15.0
# A worker that died is taken to have done so after this long without a step.
LEASE = timedelta(minutes=2)
RETRY = timedelta(minutes=5)
# How long a task that is enqueued has before another is.
TASK_WAIT = timedelta(minutes=2)


class LeaseLost(RuntimeError):
    """Another worker goes on with it."""


def free(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Those of these rows that no worker is at."""
    return rows.filter(Q(lease_until__isnull=True) | Q(lease_until__lt=timezone.now()))


def enqueue_idle(rows: QuerySet[Any], enqueue: Callable[[int], object], most: int) -> int:
    """Enqueue the work on the rows that no worker is at and whose time has come. Returns how many."""
    now = timezone.now()
    idle = free(rows).filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
    enqueued = 0
    for pk in idle.values_list("pk", flat=True)[:most]:
        # Whoever moves the date first enqueues it.
        if idle.filter(pk=pk).update(not_before=now + TASK_WAIT):
            enqueue(pk)
            enqueued += 1
    return enqueued


def work_on(rows: QuerySet[Any], pk: int, *, work: Callable[[Any, str], bool], finish: Callable[[Any], object], task: Any) -> None:
    """Take one of these rows, do a slice of its `work`, and `finish` it or enqueue the `task` for what is left.

    `work` is called with the row and the lease's token, calls `renew` beside each of its steps, and returns whether nothing is
    left. What S3 refuses is noted on the row, and tried again later.
    """
    token = uuid.uuid4().hex
    if not free(rows).filter(pk=pk).update(lease_owner=token, lease_until=timezone.now() + LEASE):
        return
    row = rows.get(pk=pk)
    try:
        is_done = work(row, token)
    except LeaseLost:
        logger.warning("%s: another worker goes on with its data", row)
        return
    except s3.S3Failure as error:
        logger.warning("%s: %s", row, error)
        _let_go(row, token, error=str(error), not_before=timezone.now() + RETRY)
        return
    # Until the task that follows has had its turn, the sweep starts no second one.
    _let_go(row, token, error="", not_before=timezone.now() + TASK_WAIT)
    if is_done:
        finish(row)
    else:
        task.enqueue(pk)


def renew(row: Any, token: str) -> None:
    """Hold the row for another while. Raises LeaseLost."""
    if not type(row).objects.filter(pk=row.pk, lease_owner=token).update(lease_until=timezone.now() + LEASE):
        raise LeaseLost


def _let_go(row: Any, token: str, **fields: object) -> None:
    type(row).objects.filter(pk=row.pk, lease_owner=token).update(lease_owner="", lease_until=None, **fields)
