"""What wakes a worker. A task carries no orders: whatever woke it, the worker looks for stacks that wait."""

from django_tasks import task


@task()
def reconcile() -> int:
    """Deploy every stack that waits. Returns how many deployments ran."""
    # The engine is loaded by workers alone; a page that enqueues this needs none of it.
    from control_plane.deployments.engine import reconcile_all

    return reconcile_all()
