"""Tasks of rosters. A worker applies a roster, as that may take longer than a page can wait."""

from django_tasks import task

from control_plane.access.rosters.services.waiting import apply_waiting


@task()
def apply_roster(roster_id: int) -> None:
    """Run `services.waiting.apply_waiting`."""
    apply_waiting(roster_id)
