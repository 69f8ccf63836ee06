"""Tasks of groups, which workers carry out."""

from django_tasks import task

from control_plane.access.groups.services.transfers import finish_moves


@task()
def end_moves() -> None:
    """See `moves.finish_moves`."""
    finish_moves()
