"""Durations of deployments: elapsed, expected by earlier runs, and in words."""

from datetime import datetime
from statistics import median

from control_plane.deployments.models import Deployment, Stack

# Newest runs that the expected duration is the median of: enough to outweigh one slow run, few enough to follow a change.
RECENT_RUNS = 10


def elapsed_seconds(deployment: Deployment, now: datetime) -> float | None:
    """Return the seconds since the run began, or that it lasted; None if it has not begun."""
    if deployment.started_at is None:
        return None
    return max(0.0, ((deployment.finished_at or now) - deployment.started_at).total_seconds())


def expected_seconds(stack: Stack) -> float | None:
    """Return the median of the stack's last successful runs, else of its kind's; None if there are none. At most two queries."""
    return _median({"stack": stack}) or _median({"stack__kind": stack.kind})


def duration(seconds: float) -> str:
    """Return seconds in words: '0.4 s', '6 s', '2 min 5 s', '1 h 3 min'."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _median(where: dict[str, object]) -> float | None:
    runs = (
        Deployment.objects.filter(state=Deployment.State.SUCCEEDED, started_at__isnull=False, finished_at__isnull=False, **where)
        .order_by("-pk")
        .values_list("started_at", "finished_at")[:RECENT_RUNS]
    )
    spans = [(finished - started).total_seconds() for started, finished in runs if started and finished]
    return median(spans) if spans else None
