"""Asking AWS what the account uses of its quotas."""

from django.utils import timezone

from control_plane.access.limits.definitions import QUOTAS
from control_plane.access.limits.models import Reading, Usage
from control_plane.access.limits.own_use import ours
from control_plane.base import aws
from control_plane.base.aws import Place
from control_plane.base.errors import Refused
from control_plane.deployments import cloudformation
from control_plane.deployments.models import Stack

# Of a stack that was removed only its record is left, which counts for nothing.
REMOVED = "DELETE_COMPLETE"


class NotRead(Refused):
    """AWS did not tell. What it told before is kept."""


def read(account: str) -> list[Usage]:
    """Ask AWS and keep what it says, in every region that we have stacks in. Raises NotRead."""
    now = timezone.now()
    regions = {Place.of_site().region, *Stack.objects.filter(account=account).values_list("region", flat=True)}
    try:
        told = {"": _iam(Place(account, min(regions)))} | {
            region: _cloudformation(Place(account, region)) for region in sorted(regions)
        }
    except aws.AwsFailure as error:
        Reading.objects.update_or_create(account=account, defaults={"asked_at": now, "error": str(error)[:500]})
        raise NotRead(f"AWS did not tell what the account uses: {error} What it told before is kept.") from error
    for region, figures in told.items():
        held = ours(account, region, on_aws=True)
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
        stacks = sum(one["StackStatus"] != REMOVED for page in pages for one in page["StackSummaries"])
    return {one["Name"]: one["Value"] for one in limits} | {"Stacks": stacks}
