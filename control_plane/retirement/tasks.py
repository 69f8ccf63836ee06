"""What a worker does for groups and analyses that are being retired."""

from django_tasks import task


@task()
def work_out_survey(survey_id: int) -> None:
    """See `surveys.work_out`."""
    from control_plane.retirement.surveys import work_out

    work_out(survey_id)


@task()
def work_on_data(retirement_id: int) -> None:
    """See `data.work_on`."""
    from control_plane.retirement.data import work_on

    work_on(retirement_id)


@task()
def empty_bucket(retirement_id: int) -> None:
    """See `emptying.work_on`."""
    from control_plane.retirement.emptying import work_on

    work_on(retirement_id)


@task()
def go_on_retiring() -> None:
    """See `steps.take_steps`."""
    from control_plane.retirement.steps import take_steps

    take_steps()
