"""Tasks that a worker does beside deploying. Deployments themselves need no task: their rows say what waits."""

from typing import Any

from django_tasks import task

# The queue that a worker serves in a thread of its own, so that its tasks wait for nothing else.
URGENT = "urgent"


@task()
def check_drift(stack_id: int, progress: dict[str, Any] | None = None) -> None:
    """Check a stack for drift (`drift.check`). `progress` is the state of an earlier step; a further step is a task of its own."""
    # For workers alone: whoever enqueues this needs none of the engine's modules.
    from control_plane.deployments.drift import check

    if (rest := check(stack_id, progress)) is not None:
        check_drift.enqueue(stack_id, rest)


@task()
def compute_preview(preview_id: int) -> None:
    """Compute a preview's plan (`preview_worker.work_out`)."""
    # For workers alone: whoever enqueues this needs neither CDK nor the engine.
    from control_plane.deployments.deployers.preview_worker import work_out

    work_out(preview_id)


@task(priority=100, queue_name=URGENT)
def deny_now(stack_id: int) -> None:
    """Put a stack's newest denials on AWS at once (`lockout.deny`)."""
    # For workers alone: whoever enqueues this asks no IAM.
    from control_plane.deployments.lockout import deny

    deny(stack_id)
