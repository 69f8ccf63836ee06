"""Tasks of groups, which workers run."""

from django_tasks import task

from control_plane.access.groups.services.transfers import finish_transfers


@task()
def end_transfers() -> None:
    """Run `services.transfers.finish_transfers`."""
    finish_transfers()
