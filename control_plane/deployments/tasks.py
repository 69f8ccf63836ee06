"""What wakes a worker. A task carries no orders: whatever woke it, the worker looks for stacks that wait."""

from django_tasks import task


@task()
def reconcile() -> bool:
    """Deploy one stack that waits, and wake a worker for the next. Returns whether there was one.

    One at a time, so that a worker that was asked to stop does so after the deployment under way.
    """
    # The engine is loaded by workers alone; a page that enqueues this needs none of it.
    from control_plane.deployments.engine import reconcile_next

    found = reconcile_next()
    if found:
        reconcile.enqueue()
    return found
