"""Tasks of workers about jobs, besides deployments: a slow S3 delays nothing else."""

from django_tasks import task

from control_plane.research.jobs.status import update_job


@task()
def check_job(job_id: int) -> None:
    """Update the job from S3; see `status.update_job`."""
    update_job(job_id)
