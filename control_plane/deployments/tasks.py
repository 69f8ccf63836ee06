"""Work that a worker does beside deploying. Deployments themselves need no task: their rows say what waits."""

from typing import Any

from django_tasks import task

# A worker does what is in this queue beside all else, so that it waits for nothing.
URGENT = "urgent"


@task()
def check_drift(stack_id: int, progress: dict[str, Any] | None = None) -> None:
    """See `drift.check`; `progress` is what an earlier step hands on."""
    # For workers alone, as below: a page that enqueues this needs none of the engine's modules.
    from control_plane.deployments.drift import check

    check(stack_id, progress)


@task()
def work_out_preview(preview_id: int) -> None:
    """See `previews.work_out`."""
    # For workers alone: it has CDK compare.
    from control_plane.deployments.previews import work_out

    work_out(preview_id)


@task(priority=100, queue_name=URGENT)
def deny_now(stack_id: int) -> None:
    """See `denying.deny`."""
    # For workers alone: it asks IAM.
    from control_plane.deployments.denying import deny

    deny(stack_id)
