"""Periodic step of retirements."""

from control_plane.access.retirement.tasks import advance_all_retirements


def continue_retirements() -> None:
    """Take the steps that are due in this process, and enqueue the cleanup of data."""
    advance_all_retirements.call()
