"""Looking at jobs is a worker's work beside deploying: S3 that is slow holds up nothing else."""

from django_tasks import task

from control_plane.research.jobs.status import update_job


@task()
def look_at_job(job_id: int) -> None:
    """See `watching.look_at`."""
    update_job(job_id)
