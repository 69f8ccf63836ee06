"""What a worker does about analyses, beside deploying."""

from django_tasks import task

from control_plane.research.catalogue.unmade import leave_out


@task()
def leave_out_unmade(stack_id: int, reasons: dict[str, str]) -> None:
    """See `unmade.leave_out`."""
    leave_out(stack_id, reasons)
