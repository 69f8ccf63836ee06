"""Liveness of workers, by when each was seen last."""

from datetime import datetime, timedelta

WORKER_SILENT_SECONDS = 60


def silent_before(now: datetime) -> datetime:
    """Return the time limit: a worker that was last seen before it is taken for dead."""
    return now - timedelta(seconds=WORKER_SILENT_SECONDS)
