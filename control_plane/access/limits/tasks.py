"""What a worker does for quotas: the web process may ask neither IAM nor CloudFormation."""

import logging

from django_tasks import task

from control_plane.access.limits.aws_use import NotRead, read

logger = logging.getLogger("cohort.quotas")


@task()
def read_quotas(account: str) -> None:
    """See `reading.read`. That AWS did not answer is on record, and asked again when it is due."""
    try:
        read(account)
    except NotRead as error:
        logger.warning("%s", error)
