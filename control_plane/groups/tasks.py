"""Tasks of groups, which workers carry out. What they call is imported as they run: it enqueues tasks itself."""

from django_tasks import task


@task()
def end_moves() -> None:
    """See `moves.finish_moves`."""
    from control_plane.groups.services.moves import finish_moves

    finish_moves()
