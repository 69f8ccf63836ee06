"""Applying a roster is a worker's work: it may take longer than a page can wait."""

from django_tasks import task


@task()
def apply_roster(roster_id: int) -> None:
    """See `uploads.apply_waiting`."""
    from control_plane.rosters.services.uploads import apply_waiting

    apply_waiting(roster_id)
