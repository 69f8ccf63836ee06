"""Periodic step of retirements."""

from control_plane.access.retirement.tasks import go_on_retiring


def continue_retirements() -> None:
    """Take the steps that are due in this process, and enqueue the cleanup of data."""
    go_on_retiring.call()
