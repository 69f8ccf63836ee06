"""Stacks of other regions that hold policies of Cohort-Bootstrap: IAM's names hold for the whole account, stacks for one region."""

from typing import Any, NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from stacks import names


class PolicyHolder(NamedTuple):
    """A policy whose name is taken, and the stack that holds it with its region; None if no stack was found."""

    policy_arn: str
    stack: str | None
    region: str


def find_policy_holder(session: boto3.Session, account: str, region: str, endpoint: str | None = None) -> PolicyHolder | None:
    """Find the holder of the first of our policies that exists already, or None if all names are free. Raises ClientError."""
    iam = session.client("iam", region_name=region, endpoint_url=endpoint)
    for name in (names.BOUNDARY_NAME, names.HOST_BOUNDARY_NAME, *names.EXECUTION_NAMES):
        arn = names.policy_arn(account, region, name)
        try:
            iam.get_policy(PolicyArn=arn)
        except iam.exceptions.NoSuchEntityException:
            continue
        for candidate in _regions(session, region, endpoint):
            if stack := _stack_of(session.client("cloudformation", region_name=candidate, endpoint_url=endpoint), arn):
                return PolicyHolder(arn, stack, candidate)
        return PolicyHolder(arn, None, region)
    return None


def explain_holder(holder: PolicyHolder) -> str:
    """Return a sentence on why the holder is in the way, and what to do about it."""
    policy = holder.policy_arn.rsplit("/", 1)[-1]
    if holder.stack is None:
        return (
            f"The policy {policy} is in this account already, and no stack of any region holds it: a stack kept it when it was "
            f"deleted, or somebody made it by hand. If nothing uses it (aws iam list-entities-for-policy --policy-arn "
            f"{holder.policy_arn}), delete it, then run this again."
        )
    held = f"{policy} is held by {holder.stack} in {holder.region}."
    if holder.stack == names.PLATFORM_STACK:
        return (
            f"{held} An older Cohort made it there, and principals are within it, so it cannot just be deleted. Take it out of "
            "there, keeping it (DeletionPolicy: Retain, then without the resource), and import it into "
            f"{names.BOOTSTRAP_STACK}; or begin in an empty account."
        )
    if holder.stack == names.BOOTSTRAP_STACK:
        return (
            f"{held} So this account has a site of Cohort in {holder.region}. An account has room for one, as the names of its "
            f"policies and roles hold in every region. Use another account for a second site; for that one, give {holder.region} "
            "as the region (site.toml, or --region)."
        )
    return f"{held} That stack is none of Cohort's. Use another account, or have its owner give the name free."


def _regions(session: boto3.Session, region: str, endpoint: str | None) -> list[str]:
    """Return the requested region first, then every other that the account has enabled."""
    ec2 = session.client("ec2", region_name=region, endpoint_url=endpoint)
    enabled = {entry["RegionName"] for entry in ec2.describe_regions()["Regions"]}
    return [region, *sorted(enabled - {region})]


def _stack_of(cloudformation: Any, physical_id: str) -> str | None:
    """Return the stack of this region that holds the resource. A region that does not answer is skipped: this is advice alone."""
    try:
        held = cloudformation.describe_stack_resources(PhysicalResourceId=physical_id)["StackResources"]
    except (BotoCoreError, ClientError):
        return None
    return str(held[0]["StackName"]) if held else None
