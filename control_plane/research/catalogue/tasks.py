"""Tasks of workers about analyses, besides deployments."""

from django_tasks import task

from control_plane.research.catalogue.unmade import leave_out


@task()
def leave_out_unmade(stack_id: int, reasons: dict[str, str]) -> None:
    """Leave out analyses whose buckets AWS could not make; see `unmade.leave_out`."""
    leave_out(stack_id, reasons)
