"""Checks of the account's and region's capacity: quotas, zones, the instance type, and the snapshot of a restore."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from control_plane.doctor.check_context import CheckContext, describe_failure, error_code
from control_plane.doctor.findings import Finding, ok, to_do, unknown
from control_plane.doctor.stacks import MAX_PAGES, stack
from stacks import names
from stacks.site.settings import BACKUP_STACK, HOST_STACK

# Cohort's own, without a group: the most that the first steps create of each.
NEEDED = {"Roles": 8, "Policies": 5, "Groups": 1, "Users": 1}
NEEDED_STACKS = 5
# Percentage of a quota above which a request for more is due.
FULL_PERCENT = 90
RAISE = "Ask for more in Service Quotas (console), which may take days."
# Service Quotas' own codes: EC2-VPC Elastic IPs, VPCs per region.
ADDRESSES, NETWORKS = ("ec2", "L-0263D0A3"), ("vpc", "L-F678F1CE")


def quotas(context: CheckContext) -> Iterator[Finding]:
    """Check the account's quotas of IAM and CloudFormation."""
    summary = context.aws("iam").get_account_summary()["SummaryMap"]
    figures = {f"IAM {name.lower()}": (summary[name], summary[f"{name}Quota"], needed) for name, needed in NEEDED.items()}
    cloudformation = context.aws("cloudformation")
    limits = {limit["Name"]: limit["Value"] for limit in cloudformation.describe_account_limits()["AccountLimits"]}
    pages = cloudformation.get_paginator("list_stacks").paginate(PaginationConfig={"MaxItems": MAX_PAGES * 100})
    used = sum(summary["StackStatus"] != "DELETE_COMPLETE" for page in pages for summary in page["StackSummaries"])
    figures["CloudFormation stacks"] = used, limits["StackLimit"], NEEDED_STACKS
    full = [
        f"{name}: {used} of {limit}"
        for name, (used, limit, needed) in figures.items()
        if used * 100 >= limit * FULL_PERCENT or limit - used < needed
    ]
    if full:
        yield to_do(", ".join(full), RAISE)
    else:
        yield ok(", ".join(f"{name} {used} of {limit}" for name, (used, limit, _) in figures.items()))


def addresses(context: CheckContext) -> Iterator[Finding]:
    """Check the quotas of elastic addresses and VPCs, unless the site has its own already."""
    ec2 = context.aws("ec2")
    for name, (service, code), needs, used in (
        ("elastic addresses", ADDRESSES, BACKUP_STACK, len(ec2.describe_addresses()["Addresses"])),
        ("VPCs", NETWORKS, HOST_STACK, len(ec2.describe_vpcs()["Vpcs"])),
    ):
        if stack(context, needs) is not None:
            yield ok(f"{name}: {used}, the site's among them")
            continue
        try:
            limit = int(context.aws("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])
        except ClientError as error:
            yield unknown(f"{name}: {used} are in use; {describe_failure(error)}", "AWS gives 5 of each unless you asked for more.")
            continue
        yield ok(f"{name}: {used} of {limit}") if used < limit else to_do(f"{name}: {used} of {limit}", RAISE)


def zones(context: CheckContext) -> Iterator[Finding]:
    """Check that the account has the site's zones, and that the first offers the instance type."""
    site = context.require_site()
    wanted = site.zones if site.tls == "acm" else site.zones[:1]
    zones = context.aws("ec2").describe_availability_zones()["AvailabilityZones"]
    open_ones = sorted(
        zone["ZoneName"]
        for zone in zones
        if zone["State"] == "available" and zone.get("ZoneType", "availability-zone") == "availability-zone"
    )
    if missing := [zone for zone in wanted if zone not in open_ones]:
        yield to_do(
            f"{', '.join(missing)} not in this account, which has {', '.join(open_ones)}",
            "Name two of them in `availability_zones` of site.toml before there is data: a volume cannot move.",
        )
        return
    filters: Any = [{"Name": "instance-type", "Values": [site.instance_type]}]
    offered = context.aws("ec2").describe_instance_type_offerings(LocationType="availability-zone", Filters=filters)
    having = sorted(offering["Location"] for offering in offered["InstanceTypeOfferings"])
    if wanted[0] in having:
        yield ok(f"{', '.join(wanted)}; {site.instance_type} is offered in {wanted[0]}")
    else:
        yield to_do(
            f"{site.instance_type} is not offered in {wanted[0]}, but in {', '.join(having) or 'no zone of this region'}",
            "Name one of those first in `availability_zones` of site.toml before there is data, or use another region.",
        )


def snapshot(context: CheckContext) -> Iterator[Finding]:
    """Check that the snapshot in site.toml exists, and that CloudFormation may restore it."""
    site = context.require_site()
    if not site.data_snapshot:
        yield ok("site.toml names none, so a new data volume is empty")
        return
    try:
        (described,) = context.aws("ec2").describe_snapshots(SnapshotIds=[site.data_snapshot])["Snapshots"]
    except ClientError as error:
        if not error_code(error).startswith("InvalidSnapshot"):
            raise
        yield to_do(
            f"{site.data_snapshot} is not in {site.region}", "The vault *cohort* lists the snapshots (console, AWS Backup)."
        )
        return
    tags = {tag["Key"]: tag["Value"] for tag in described.get("Tags", [])}
    if described["State"] != "completed":
        yield to_do(f"{site.data_snapshot} is {described['State']}", "Wait until it is completed.")
    elif tags.get("project") != names.PROJECT:
        yield to_do(
            f"{site.data_snapshot} has no tag project = {names.PROJECT}, so CloudFormation may not restore it",
            f"aws ec2 create-tags --resources {site.data_snapshot} --tags Key=project,Value={names.PROJECT}",
        )
    elif described["VolumeSize"] > site.data_volume_gib:
        yield to_do(
            f"{site.data_snapshot} holds {described['VolumeSize']} GiB; the volume would have {site.data_volume_gib}",
            f"Set data_gib = {described['VolumeSize']} in site.toml.",
        )
    else:
        yield ok(f"{site.data_snapshot} is completed, {described['VolumeSize']} GiB")
