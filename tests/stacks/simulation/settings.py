"""Every stack of ours in every form that its settings give it, as accounts would hold them."""

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

import aws_cdk as cdk

from stacks.group.group_stack import GroupStack
from stacks.group.storage_stack import StorageStack
from stacks.manifest import AnalysisGrant, Member
from stacks.site.assembly import add_site
from tests.stacks.builders import ACCOUNT, ADA, GRACE, LISE, group_manifest, platform_manifest, site
from tests.stacks.simulation.deployed import SNAPSHOT, Account, deploy

PATTERNS = ("cohort-*",)
HOME = "us-east-1"
# Where the ARNs begin otherwise, and where a region has other zones.
ELSEWHERE = ("eu-west-1", "cn-north-1", "us-gov-west-1")
CERTIFICATE = f"arn:aws:acm:{HOME}:{ACCOUNT}:certificate/11111111-2222-3333-4444-555555555555"
SITES: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "a load balancer, more of everything": {
        "tls": "acm",
        "size": "medium",
        "data_gib": 500,
        "data_snapshot": SNAPSHOT,
        "retention": {"vault_lock_after": 7},
        "tags": {"cost-centre": "42"},
    },
    "a load balancer with a certificate that is there": {"tls": "acm", "certificate_arn": CERTIFICATE},
}
MEMBERS = (
    Member(username=ADA, access="keys", key_serial=2, previous_key="inactive"),
    Member(username=GRACE, access="keys", part=1, suspended=True),
    Member(username=LISE, access="federated"),
)


def groups(app: cdk.App, region: str) -> None:
    """A group with a nested part and all that a manifest can hold, one that is suspended, one that has nobody and reads alone."""
    grants = tuple(AnalysisGrant(bucket=name, access="read-write") for name in ("cohort-ephys", "cohort-video"))
    shut_out = {"revoked": ("m" + "d" * 11,), "sessions_not_before": 1_700_000_000}
    GroupStack(app, group_manifest(region=region, members=MEMBERS, analyses=grants, tags={"cost-centre": "42"}, **shut_out))
    GroupStack(app, group_manifest(region=region, slug="closed-lab", suspended=True))
    reading = (AnalysisGrant(bucket="cohort-ephys", access="read-only"),)
    GroupStack(app, group_manifest(region=region, slug="new-lab", members=(), analyses=reading))


def storage(app: cdk.App, region: str) -> None:
    """The first storage stack, a further one, and one that holds nothing yet."""
    StorageStack(app, platform_manifest(region=region))
    StorageStack(app, platform_manifest(region=region, number=2, buckets=("cohort-more",), tags={"cost-centre": "42"}))
    StorageStack(app, platform_manifest(region=region, number=3, buckets=()))


@cache
def home() -> tuple[Account, ...]:
    """An account for each form of the site, all groups and storage stacks in the first."""
    shared = [partial(groups, region=HOME), partial(storage, region=HOME)]
    return tuple(
        deploy(HOME, partial(add_site, site=site(**settings)), *(shared if name == "plain" else ()))
        for name, settings in SITES.items()
    )


@cache
def elsewhere() -> tuple[Account, ...]:
    """One of each stack in other parts of AWS."""
    return tuple(
        deploy(region, partial(add_site, site=site(region=region)), partial(groups, region=region), partial(storage, region=region))
        for region in ELSEWHERE
    )
