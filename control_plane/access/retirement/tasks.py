"""Tasks of retirement, for groups and analyses."""

from django_tasks import task

from control_plane.access.retirement import inventory, steps


@task()
def take_inventory(survey_id: int) -> None:
    """Count what a group has on AWS: see `inventory.run_survey`."""
    inventory.run_survey(survey_id)


@task()
def clean_up_group_data(retirement_id: int) -> None:
    """Archive or delete a retired group's data: see `data_cleanup.clean_up_data`."""
    # For workers only: whoever requests a retirement needs none of what changes S3.
    from control_plane.access.retirement import data_cleanup

    if data_cleanup.clean_up_data(retirement_id):
        clean_up_group_data.enqueue(retirement_id)


@task()
def empty_bucket(retirement_id: int) -> None:
    """Empty a retired analysis's bucket: see `bucket_cleanup.clean_up_bucket`."""
    # For workers only: whoever requests a retirement needs none of what changes S3.
    from control_plane.access.retirement import bucket_cleanup

    if bucket_cleanup.clean_up_bucket(retirement_id):
        empty_bucket.enqueue(retirement_id)


@task()
def advance_all_retirements() -> None:
    """Advance the retirements (see `steps.advance_retirements`), then enqueue the cleanups that no worker is at."""
    steps.advance_retirements()
    steps.enqueue_data_cleanups(clean_up_group_data.enqueue)
    steps.enqueue_bucket_cleanups(empty_bucket.enqueue)
