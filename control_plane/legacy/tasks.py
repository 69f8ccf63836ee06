"""What a worker does for the move from the predecessor beside deploying."""

from django_tasks import task


@task()
def remove_old_keys() -> None:
    """See `adopting_keys.remove_requested`."""
    from control_plane.legacy.adopting_keys import remove_requested

    remove_requested()
