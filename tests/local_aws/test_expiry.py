"""Lifecycle rules of the embedded AWS end earlier versions, as S3's user guide has it."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import client

SECONDS = 20.0
RULE = {
    "ID": "end-earlier-versions",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    "Expiration": {"ExpiredObjectDeleteMarker": True},
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def wait_until_ended(s3: Any, bucket: str) -> None:
    deadline = time.monotonic() + SECONDS
    while len(held(s3, bucket)) > 2 and time.monotonic() < deadline:
        time.sleep(0.1)


def made(s3: Any, bucket: str, *, days: int) -> None:
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=bucket == "locked")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    if days:
        rule = RULE | {"NoncurrentVersionExpiration": {"NoncurrentDays": days}}
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    for key, bodies in {"kept": "1", "gone": "1", "changed": "123"}.items():
        for body in bodies:
            s3.put_object(Bucket=bucket, Key=key, Body=body.encode())
    s3.delete_object(Bucket=bucket, Key="gone")


def held(s3: Any, bucket: str) -> list[tuple[str, bool]]:
    """Each version and delete marker, and whether it is the current one."""
    answer = s3.list_object_versions(Bucket=bucket)
    found = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
    return sorted((item["Key"], item["IsLatest"]) for item in found)


def test_earlier_versions_end_after_their_days_and_the_marker_with_the_last_of_them(aws: EmbeddedAws) -> None:
    """S3 user guide, "Lifecycle rules based on an object's age" and "Removing expired object delete markers"."""
    s3, now = client(aws, "s3"), datetime.now(UTC)
    for bucket, days in {"ruled": 30, "unruled": 0, "locked": 30, "sooner": 5}.items():
        made(s3, bucket, days=days)
    first = s3.list_object_versions(Bucket="locked", Prefix="gone")["Versions"][0]["VersionId"]
    until = now + timedelta(days=300)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    s3.put_object_retention(Bucket="locked", Key="gone", VersionId=first, Retention=retention)
    before = held(s3, "unruled")
    aws.set_lifecycle_time(now + timedelta(days=29))
    wait_until_ended(s3, "sooner")
    assert held(s3, "ruled") == before, "none is over its days"
    aws.set_lifecycle_time(now + timedelta(days=32))
    wait_until_ended(s3, "ruled")
    assert held(s3, "ruled") == [("changed", True), ("kept", True)]
    assert s3.get_object(Bucket="ruled", Key="changed")["Body"].read() == b"3"
    assert held(s3, "unruled") == before, "without a rule nothing ends"
    assert held(s3, "locked") == [("changed", True), ("gone", False), ("gone", True), ("kept", True)], "what is locked stays"
