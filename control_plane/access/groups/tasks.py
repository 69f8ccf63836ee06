"""Tasks of groups, which workers run."""

from django_tasks import task

from control_plane.access.groups.services.transfers import finish_moves


@task()
def end_moves() -> None:
    """Run `services.transfers.finish_moves`."""
    finish_moves()
