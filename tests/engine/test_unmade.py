"""A bucket that AWS cannot make stops no other: one that this account has, and one of another account's.

The last of these files: it takes the storage stack further than the other control planes on this AWS know.
"""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.engine.conftest import NewControl
from tests.engine.control import REGION, Cloud, Control

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

PLATFORM = "Cohort-Storage"
OURS, THEIRS = "cohort-bad-ours", "cohort-bad-theirs"
OTHER_ACCOUNT = "444455556666"


@pytest.fixture
def control(new_control: NewControl, cloud: Cloud) -> Iterator[Control]:
    """A control plane whose generation of the storage stack is AWS's own, with a worker."""
    control = new_control("sqlite")
    cloud.root("s3").create_bucket(Bucket=OURS)
    other = boto3.client(
        "s3",
        endpoint_url=cloud.aws.endpoint,
        region_name=REGION,
        aws_access_key_id=OTHER_ACCOUNT,
        aws_secret_access_key="root",
    )
    other.create_bucket(Bucket=THEIRS)
    control.worker()
    yield control
    cloud.root("s3").delete_bucket(Bucket=OURS)
    other.delete_bucket(Bucket=THEIRS)


def runs(dump: dict[str, Any]) -> list[dict[str, Any]]:
    return [deployment for deployment in dump["deployments"] if deployment["stack"] == PLATFORM]


def buckets(cloud: Cloud) -> set[str]:
    pages = cloud.root("cloudformation").get_paginator("list_stack_resources").paginate(StackName=PLATFORM)
    found = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return {resource["PhysicalResourceId"] for resource in found if resource["ResourceType"] == "AWS::S3::Bucket"}


def made(control: Control, slug: str, bucket: str) -> dict[str, Any]:
    """Make the analysis, and wait until nothing is on its way. Returns the run that was to make its bucket."""
    deployment = control.do("analysis", slug=slug, bucket=bucket)
    dump = control.settled()
    return next(run for run in runs(dump) if run["id"] == deployment)


def test_a_bucket_that_cannot_be_made_is_named_left_out_and_stops_no_other(control: Control, cloud: Cloud) -> None:
    refused = made(control, "ours", OURS)
    assert refused["state"] == "failed"
    assert f"Resource of type 'AWS::S3::Bucket' with identifier '{OURS}' already exists." in refused["error"]
    assert "Nothing was changed on AWS by this try. All AWS accounts share the names of buckets" in refused["advice"]
    failed = made(control, "theirs", THEIRS)
    assert (failed["state"], f"{THEIRS} already exists" in failed["error"]) == ("failed", True)
    assert "CloudFormation took its changes back" in failed["advice"]
    unmade = control.do("analyses")
    assert {slug for slug, reason in unmade.items() if reason} == {"ours", "theirs"}
    assert OURS in unmade["ours"]
    assert made(control, "following", "cohort-bad-following")["state"] == "succeeded"
    assert {"cohort-bad-following"} == buckets(cloud) & {OURS, THEIRS, "cohort-bad-following"}
    control.do("rename_bucket", slug="theirs", bucket="cohort-bad-renamed")
    last = runs(control.settled())[-1]
    assert last["state"] == "succeeded"
    assert {"cohort-bad-following", "cohort-bad-renamed"} <= buckets(cloud)
    listed = json.loads(control.manage("analysis", "list", "--json"))
    assert {group["slug"]: bool(group.get("unmade_reason")) for group in listed if "bad" in group["bucket"]} == {
        "following": False,
        "ours": True,
        "theirs": False,
    }
