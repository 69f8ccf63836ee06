"""Work on data that takes long: done by workers in short slices, one worker at a time, each going on where the last one stopped."""

import logging
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from control_plane.access.retirement import s3
from control_plane.base.claims import claim_due

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


def take_idle(rows: QuerySet[Any], enqueue: Callable[[int], object], most: int) -> None:
    """Enqueue the rows that no worker is at and whose time has come, up to `most`."""
    now = timezone.now()
    idle = free(rows).filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
    claim_due(idle, "not_before", enqueue, limit=most, until=now + TASK_WAIT)


def work_on(rows: QuerySet[Any], pk: int, *, work: Callable[[Any, str], bool], finish: Callable[[Any], object]) -> bool:
    """Take one of these rows, do a slice of its `work`, and `finish` it if that was the last. Returns whether a task is to go on.

    `work` is called with the row and the lease's token, calls `renew` beside each of its steps, and returns whether nothing is
    left. What S3 refuses is noted on the row, and tried again later.
    """
    token = uuid.uuid4().hex
    if not free(rows).filter(pk=pk).update(lease_owner=token, lease_until=timezone.now() + LEASE):
        return False
    row = rows.get(pk=pk)
    try:
        is_done = work(row, token)
    except LeaseLost:
        logger.warning("%s: another worker goes on with its data", row)
        return False
    except s3.S3Failure as error:
        logger.warning("%s: %s", row, error)
        _let_go(row, token, error=str(error), not_before=timezone.now() + RETRY)
        return False
    # Until the task that follows has had its turn, the sweep starts no second one.
    _let_go(row, token, error="", not_before=timezone.now() + TASK_WAIT)
    if is_done:
        finish(row)
    return not is_done


def renew(row: Any, token: str) -> None:
    """Hold the row for another while. Raises LeaseLost."""
    if not type(row).objects.filter(pk=row.pk, lease_owner=token).update(lease_until=timezone.now() + LEASE):
        raise LeaseLost


def _let_go(row: Any, token: str, **fields: object) -> None:
    type(row).objects.filter(pk=row.pk, lease_owner=token).update(lease_owner="", lease_until=None, **fields)
