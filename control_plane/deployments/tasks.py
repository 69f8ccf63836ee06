"""Work that a worker does beside deploying. Deployments themselves need no task: their rows say what waits."""

from typing import Any

from django_tasks import task

# A worker does what is in this queue beside all else, so that it waits for nothing.
URGENT = "urgent"


@task()
def check_drift(stack_id: int, progress: dict[str, Any] | None = None) -> None:
    """See `drift.check`; `progress` is what an earlier step hands on. What is left is a task of its own, behind what waits."""
    # For workers alone: whoever enqueues this needs none of the engine's modules.
    from control_plane.deployments.drift import check

    if (left := check(stack_id, progress)) is not None:
        check_drift.enqueue(stack_id, left)


@task()
def work_out_preview(preview_id: int) -> None:
    """See `preview_worker.work_out`."""
    # For workers alone: whoever enqueues this needs neither CDK nor the engine.
    from control_plane.deployments.deployers.preview_worker import work_out

    work_out(preview_id)


@task(priority=100, queue_name=URGENT)
def deny_now(stack_id: int) -> None:
    """See `lockout.deny`."""
    # For workers alone: whoever enqueues this asks no IAM.
    from control_plane.deployments.lockout import deny

    deny(stack_id)
