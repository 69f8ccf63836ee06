"""Manifests for tests: whole and valid, with what the test cares about put in."""

from typing import Any

from stacks.manifest import AnalysisGrant, GroupManifest, Member, PlatformManifest
from stacks.site.settings import Site, parse_site

ACCOUNT, REGION = "111122223333", "us-east-1"
ADA, GRACE, LISE = "m" + "a" * 11, "m" + "b" * 11, "m" + "c" * 11


def group_manifest(**fields: Any) -> GroupManifest:
    defaults: dict[str, Any] = {
        "generation": 1,
        "account": ACCOUNT,
        "region": REGION,
        "slug": "example-lab",
        "members": (Member(username=ADA, access="keys"), Member(username=GRACE, access="federated")),
        "analyses": (AnalysisGrant(bucket="cohort-ephys", access="read-write"),),
    }
    return GroupManifest.build(**{**defaults, **fields})


def platform_manifest(**fields: Any) -> PlatformManifest:
    defaults: dict[str, Any] = {
        "generation": 1,
        "account": ACCOUNT,
        "region": REGION,
        "buckets": ("cohort-ephys", "cohort-video"),
        "origins": ("https://cohort.example.org",),
    }
    return PlatformManifest.build(**{**defaults, **fields})


def site(**fields: Any) -> Site:
    least = {"account": ACCOUNT, "region": REGION, "domain": "cohort.example.org", "email": "platform@example.org"}
    return parse_site(least | fields)
