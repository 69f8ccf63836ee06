"""Use of the account's quotas, as AWS tells it."""

from django.utils import timezone

from control_plane.access.limits.definitions import QUOTAS
from control_plane.access.limits.models import Reading, Usage
from control_plane.access.limits.own_use import count_own_use
from control_plane.base import aws
from control_plane.base.aws import Place
from control_plane.base.errors import Refused
from control_plane.deployments import cloudformation
from control_plane.deployments.models import Stack

# A deleted stack leaves a record, which does not count.
DELETED_STATUS = "DELETE_COMPLETE"


class AwsUseNotRead(Refused):
    """AWS did not answer. Its last answer is kept."""


def read_aws_use(account: str) -> list[Usage]:
    """Read the quotas from AWS and keep them, in every region that we have stacks in. Raises AwsUseNotRead."""
    now = timezone.now()
    regions = {Place.of_site().region, *Stack.objects.filter(account=account).values_list("region", flat=True)}
    try:
        figures_by_region = {"": _iam(Place(account, min(regions)))} | {
            region: _cloudformation(Place(account, region)) for region in sorted(regions)
        }
    except aws.AwsFailure as error:
        Reading.objects.update_or_create(account=account, defaults={"asked_at": now, "error": str(error)[:500]})
        raise AwsUseNotRead(f"AWS did not tell what the account uses: {error} What it told before is kept.") from error
    for region, figures in figures_by_region.items():
        held = count_own_use(account, region, on_aws=True)
        for quota in QUOTAS:
            if quota.is_regional == bool(region):
                values = {
                    "used": figures.get(quota.used) if quota.used else None,
                    "ours": held.get(quota.name, 0),
                    "limit": figures.get(quota.limit),
                    "read_at": now,
                }
                Usage.objects.update_or_create(account=account, region=region, name=quota.name, defaults=values)
    Reading.objects.update_or_create(account=account, defaults={"asked_at": now, "read_at": now, "error": ""})
    return list(Usage.objects.filter(account=account))


def _iam(place: Place) -> dict[str, int]:
    with aws.translated_errors():
        summary = aws.client("iam", place).get_account_summary()["SummaryMap"]
    return {str(name): value for name, value in summary.items()}


def _cloudformation(place: Place) -> dict[str, int]:
    client = cloudformation.client(place)
    with aws.translated_errors():
        limits = client.describe_account_limits()["AccountLimits"]
        pages = client.get_paginator("list_stacks").paginate()
        stacks = sum(summary["StackStatus"] != DELETED_STATUS for page in pages for summary in page["StackSummaries"])
    return {limit["Name"]: limit["Value"] for limit in limits} | {"Stacks": stacks}
