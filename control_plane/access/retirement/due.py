"""The periodic step of retirement."""

from control_plane.access.retirement.tasks import go_on_retiring


def take_steps() -> None:
    """Go on with what is due, here and now, and enqueue the work on data."""
    go_on_retiring.call()
