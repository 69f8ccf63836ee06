"""What a worker does for groups and analyses that are being retired."""

from django_tasks import task

from control_plane.access.retirement import inventory, steps


@task()
def work_out_survey(survey_id: int) -> None:
    """See `surveys.work_out`."""
    inventory.work_out(survey_id)


@task()
def work_on_data(retirement_id: int) -> None:
    """See `data.work_on`."""
    # For workers alone: whoever asks for a retirement needs none of what changes S3.
    from control_plane.access.retirement import data_cleanup

    if data_cleanup.work_on(retirement_id):
        work_on_data.enqueue(retirement_id)


@task()
def empty_bucket(retirement_id: int) -> None:
    """See `emptying.work_on`."""
    # For workers alone: whoever asks for a retirement needs none of what changes S3.
    from control_plane.access.retirement import emptying

    if emptying.work_on(retirement_id):
        empty_bucket.enqueue(retirement_id)


@task()
def go_on_retiring() -> None:
    """See `steps.take_steps`; then have the data worked on, and the buckets emptied, that no worker is at."""
    steps.take_steps()
    steps.take_data(work_on_data.enqueue)
    steps.take_buckets(empty_bucket.enqueue)
