"""Applying a roster is a worker's work: it may take longer than a page can wait."""

from django_tasks import task

from control_plane.access.rosters.services.waiting import apply_waiting


@task()
def apply_roster(roster_id: int) -> None:
    """See `waiting.apply_waiting`."""
    apply_waiting(roster_id)
