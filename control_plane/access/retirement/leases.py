"""Leases on long data cleanups: workers run short slices, one worker at a time, each continuing where the last one stopped."""

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

# Duration of one task, before it yields to others.
SLICE_SECONDS = 15.0
# A worker without a step for so long is taken to be dead.
LEASE_DURATION = timedelta(minutes=2)
RETRY_DELAY = timedelta(minutes=5)
# Wait before another task is enqueued for a row that has one.
TASK_WAIT = timedelta(minutes=2)


class LeaseLost(RuntimeError):
    """Another worker has taken the row's lease."""


def without_lease(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows that no worker holds a lease on."""
    return rows.filter(Q(lease_until__isnull=True) | Q(lease_until__lt=timezone.now()))


def enqueue_idle(rows: QuerySet[Any], enqueue: Callable[[int], object], limit: int) -> None:
    """Claim and enqueue the due rows that no worker holds a lease on, up to `limit`. A row is idle again after TASK_WAIT."""
    now = timezone.now()
    idle = without_lease(rows).filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
    claim_due(idle, "not_before", enqueue, limit=limit, until=now + TASK_WAIT)


def run_slice(rows: QuerySet[Any], pk: int, *, work: Callable[[Any, str], bool], finish: Callable[[Any], object]) -> bool:
    """Lease one of these rows, run a slice of its `work`, and `finish` it if that was the last.

    Returns whether a task is to continue.

    `work` is called with the row and the lease's token, calls `renew` after each of its steps, and returns whether nothing is
    left. A failure of S3 is kept on the row, and tried again later.
    """
    token = uuid.uuid4().hex
    if not without_lease(rows).filter(pk=pk).update(lease_owner=token, lease_until=timezone.now() + LEASE_DURATION):
        return False
    row = rows.get(pk=pk)
    try:
        is_done = work(row, token)
    except LeaseLost:
        logger.warning("%s: another worker goes on with its data", row)
        return False
    except s3.S3Failure as error:
        logger.warning("%s: %s", row, error)
        _release(row, token, error=str(error), not_before=timezone.now() + RETRY_DELAY)
        return False
    # The sweep enqueues no second task until the one that follows has had its turn.
    _release(row, token, error="", not_before=timezone.now() + TASK_WAIT)
    if is_done:
        finish(row)
    return not is_done


def renew(row: Any, token: str) -> None:
    """Renew the row's lease. Raises LeaseLost."""
    if not type(row).objects.filter(pk=row.pk, lease_owner=token).update(lease_until=timezone.now() + LEASE_DURATION):
        raise LeaseLost


def _release(row: Any, token: str, **fields: object) -> None:
    type(row).objects.filter(pk=row.pk, lease_owner=token).update(lease_owner="", lease_until=None, **fields)
