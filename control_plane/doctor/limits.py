"""What the account and its region have room for: quotas, zones, the machine's type, and the snapshot of a restore."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from control_plane.doctor.findings import Finding, ok, to_do, unknown
from control_plane.doctor.stacks import MAX_PAGES, stack
from control_plane.doctor.surroundings import Surroundings, code_of, why_not
from stacks import names
from stacks.site import BACKUP_STACK, HOST_STACK

# Cohort's own, without a group: what the first steps make of each at the most.
NEEDED = {"Roles": 8, "Policies": 5, "Groups": 1, "Users": 1}
NEEDED_STACKS = 5
# Of a quota, above which it is worth asking for more in time.
FULL_PERCENT = 90
RAISE = "Ask for more in Service Quotas (console), which may take days."
# Service Quotas' own codes: EC2-VPC Elastic IPs, VPCs per region.
ADDRESSES, NETWORKS = ("ec2", "L-0263D0A3"), ("vpc", "L-F678F1CE")


def quotas(around: Surroundings) -> Iterator[Finding]:
    """Look how much room IAM and CloudFormation have left."""
    summary = around.aws("iam").get_account_summary()["SummaryMap"]
    figures = {f"IAM {name.lower()}": (summary[name], summary[f"{name}Quota"], needed) for name, needed in NEEDED.items()}
    cloudformation = around.aws("cloudformation")
    limits = {one["Name"]: one["Value"] for one in cloudformation.describe_account_limits()["AccountLimits"]}
    pages = cloudformation.get_paginator("list_stacks").paginate(PaginationConfig={"MaxItems": MAX_PAGES * 100})
    used = sum(one["StackStatus"] != "DELETE_COMPLETE" for page in pages for one in page["StackSummaries"])
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


def addresses(around: Surroundings) -> Iterator[Finding]:
    """Look whether there is room for the site's address and network, where they are not there already."""
    ec2 = around.aws("ec2")
    for name, (service, code), needs, used in (
        ("elastic addresses", ADDRESSES, BACKUP_STACK, len(ec2.describe_addresses()["Addresses"])),
        ("VPCs", NETWORKS, HOST_STACK, len(ec2.describe_vpcs()["Vpcs"])),
    ):
        if stack(around, needs) is not None:
            yield ok(f"{name}: {used}, the site's among them")
            continue
        try:
            limit = int(around.aws("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])
        except ClientError as error:
            yield unknown(f"{name}: {used} are in use; {why_not(error)}", "AWS gives 5 of each unless you asked for more.")
            continue
        yield ok(f"{name}: {used} of {limit}") if used < limit else to_do(f"{name}: {used} of {limit}", RAISE)


def zones(around: Surroundings) -> Iterator[Finding]:
    """Look whether the account has the site's zones, and whether they have the site's machine."""
    site = around.require_site()
    wanted = site.zones if site.tls == "acm" else site.zones[:1]
    found = around.aws("ec2").describe_availability_zones()["AvailabilityZones"]
    open_ones = sorted(
        one["ZoneName"]
        for one in found
        if one["State"] == "available" and one.get("ZoneType", "availability-zone") == "availability-zone"
    )
    if missing := [one for one in wanted if one not in open_ones]:
        yield to_do(
            f"{', '.join(missing)} not in this account, which has {', '.join(open_ones)}",
            "Name two of them in `availability_zones` of site.toml before there is data: a volume cannot move.",
        )
        return
    filters: Any = [{"Name": "instance-type", "Values": [site.instance_type]}]
    offered = around.aws("ec2").describe_instance_type_offerings(LocationType="availability-zone", Filters=filters)
    having = sorted(one["Location"] for one in offered["InstanceTypeOfferings"])
    if wanted[0] in having:
        yield ok(f"{', '.join(wanted)}; {site.instance_type} is offered in {wanted[0]}")
    else:
        yield to_do(
            f"{site.instance_type} is not offered in {wanted[0]}, but in {', '.join(having) or 'no zone of this region'}",
            "Name one of those first in `availability_zones` of site.toml before there is data, or use another region.",
        )


def snapshot(around: Surroundings) -> Iterator[Finding]:
    """Look whether the snapshot that site.toml names is there, and may be restored by CloudFormation."""
    site = around.require_site()
    if not site.data_snapshot:
        yield ok("site.toml names none, so a new data volume is empty")
        return
    try:
        (found,) = around.aws("ec2").describe_snapshots(SnapshotIds=[site.data_snapshot])["Snapshots"]
    except ClientError as error:
        if not code_of(error).startswith("InvalidSnapshot"):
            raise
        yield to_do(
            f"{site.data_snapshot} is not in {site.region}", "The vault *cohort* lists the snapshots (console, AWS Backup)."
        )
        return
    tags = {one["Key"]: one["Value"] for one in found.get("Tags", [])}
    if found["State"] != "completed":
        yield to_do(f"{site.data_snapshot} is {found['State']}", "Wait until it is completed.")
    elif tags.get("project") != names.PROJECT:
        yield to_do(
            f"{site.data_snapshot} has no tag project = {names.PROJECT}, so CloudFormation may not restore it",
            f"aws ec2 create-tags --resources {site.data_snapshot} --tags Key=project,Value={names.PROJECT}",
        )
    elif found["VolumeSize"] > site.data_volume_gib:
        yield to_do(
            f"{site.data_snapshot} holds {found['VolumeSize']} GiB; the volume would have {site.data_volume_gib}",
            f"Set data_gib = {found['VolumeSize']} in site.toml.",
        )
    else:
        yield ok(f"{site.data_snapshot} is completed, {found['VolumeSize']} GiB")
