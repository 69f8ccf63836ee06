"""Tasks about quotas: the web process may ask neither IAM nor CloudFormation."""

import logging

from django_tasks import task

from control_plane.access.limits.aws_use import AwsUseNotRead, read_aws_use

logger = logging.getLogger("cohort.quotas")


@task()
def read_limits(account: str) -> None:
    """Read the quotas from AWS: see `aws_use.read_aws_use`. A failure is kept, and tried again when it is due."""
    try:
        read_aws_use(account)
    except AwsUseNotRead as error:
        logger.warning("%s", error)
