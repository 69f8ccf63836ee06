"""Liveness of workers, by when each was seen last."""

from datetime import datetime, timedelta

WORKER_SILENT_SECONDS = 60


def silent_before(now: datetime) -> datetime:
    """Return the moment: a worker that was seen last before it is taken for dead."""
    return now - timedelta(seconds=WORKER_SILENT_SECONDS)
