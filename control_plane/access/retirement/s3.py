"""S3 calls of retirement, within the rights of the worker's identity: list, tag and delete, never read.

Each call goes to the account and region of the stack that made the bucket.
"""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from control_plane.base import aws
from control_plane.base.aws import Place
from stacks import names

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# S3 lists and deletes at most so many keys with one call (its API reference); tags are set one by one.
PER_CALL = 1000
TAGGED_PER_STEP = 500
TAGGING_THREADS = 16
MAX_TAGS = 10
GONE = ("NoSuchBucket", "404")
# What XML 1.0 cannot carry: such keys cannot stand in the body of DeleteObjects.
_NOT_IN_XML = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")


class S3Failure(RuntimeError):
    """S3 refused a request or did not answer. What was done before stays done, and the next slice continues from there."""


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """An object, or a version of one (a delete marker is a version without a size)."""

    key: str
    size: int
    version: str = ""


@dataclass(frozen=True, slots=True)
class StepResult:
    """Result of a step: count, size in bytes, how many were left out, the last key, and whether it was the last step."""

    count: int = 0
    size: int = 0
    left_out: int = 0
    marker: str = ""
    is_last: bool = False


def pages(bucket: str, prefix: str, place: Place) -> Iterator[list[ObjectVersion]]:
    """Yield the objects under a prefix, a thousand at a time; none where there is no such bucket. Raises S3Failure."""
    with _explained(bucket):
        try:
            for page in client(place).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                yield [ObjectVersion(entry["Key"], entry["Size"]) for entry in page.get("Contents", [])]
        except ClientError as error:
            if _code(error) not in GONE:
                raise


def archive_step(bucket: str, prefix: str, after: str, place: Place) -> StepResult:
    """Tag the next objects under a prefix, after the key `after`, for the lifecycle rule that archives them. Raises S3Failure."""
    with _explained(bucket):
        s3 = client(place)
        try:
            page = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=after, MaxKeys=TAGGED_PER_STEP)
        except ClientError as error:
            if _code(error) in GONE:
                return StepResult(is_last=True)
            raise
        listed = [ObjectVersion(entry["Key"], entry["Size"]) for entry in page.get("Contents", [])]
        with ThreadPoolExecutor(TAGGING_THREADS) as pool:
            tagged = list(pool.map(lambda entry: _tag(s3, bucket, entry.key), listed))
    done = [entry for entry, is_tagged in zip(listed, tagged, strict=True) if is_tagged]
    return StepResult(
        count=len(done),
        size=sum(entry.size for entry in done),
        left_out=len(listed) - len(done),
        marker=listed[-1].key if listed else after,
        is_last=not page.get("IsTruncated", False),
    )


def delete_step(bucket: str, prefix: str, place: Place) -> StepResult:
    """Delete the next versions and delete markers under a prefix; when there are none, its unfinished uploads.

    It needs no marker, since what is deleted is not listed again. Raises S3Failure.
    """
    with _explained(bucket):
        s3 = client(place)
        try:
            page = s3.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=PER_CALL)
        except ClientError as error:
            if _code(error) in GONE:
                return StepResult(is_last=True)
            raise
        versions: list[Any] = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        listed = [ObjectVersion(version["Key"], version.get("Size", 0), version["VersionId"]) for version in versions]
        if not listed:
            return StepResult(is_last=_abort_uploads(s3, bucket, prefix) == 0)
        _delete(s3, bucket, listed)
    return StepResult(count=len(listed), size=sum(version.size for version in listed))


def delete_bucket(bucket: str, place: Place) -> None:
    """Delete an emptied bucket; a missing one counts as deleted. Raises S3Failure."""
    with _explained(bucket):
        try:
            client(place).delete_bucket(Bucket=bucket)
        except ClientError as error:
            if _code(error) in GONE:
                return
            if _code(error) == "BucketNotEmpty":
                raise S3Failure(
                    f"{bucket} is not empty: something wrote to it while it was being emptied. Stop what still writes to it, such "
                    "as a back end; it is emptied once more by itself."
                ) from error
            raise


@lru_cache(maxsize=8)
def client(place: Place) -> "S3Client":
    """Return the worker's cached S3 client for an account and region. Threads may share it."""
    retries = BotoConfig(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=2 * TAGGING_THREADS,
    )
    return aws.client("s3", place, config=retries)


def _tag(s3: "S3Client", bucket: str, key: str) -> bool:
    """Add the archive tag to an object's tags. Returns False if it has as many as S3 allows, or is gone."""
    try:
        tags = s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    except ClientError as error:
        if _code(error) in ("NoSuchKey", "404"):
            return False
        raise
    others: list[Any] = [tag for tag in tags if tag["Key"] != names.ARCHIVE_TAG]
    wanted = [*others, {"Key": names.ARCHIVE_TAG, "Value": names.ARCHIVE_TAG_VALUE}]
    if len(wanted) > MAX_TAGS:
        return False
    s3.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": wanted})
    return True


def _delete(s3: "S3Client", bucket: str, versions: Sequence[ObjectVersion]) -> None:
    plain = [version for version in versions if not _NOT_IN_XML.search(version.key)]
    if plain:
        wanted: list[Any] = [{"Key": version.key, "VersionId": version.version} for version in plain]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted, "Quiet": True})
        if errors := answer.get("Errors", []):
            first = errors[0]
            raise S3Failure(
                f"S3 did not delete {len(errors)} of {len(plain)} versions in {bucket}, the first being "
                f"{first.get('Key', '')}: {first.get('Message', first.get('Code', ''))}"
            )
    for version in versions:
        if _NOT_IN_XML.search(version.key):
            s3.delete_object(Bucket=bucket, Key=version.key, VersionId=version.version)


def _abort_uploads(s3: "S3Client", bucket: str, prefix: str) -> int:
    """Abort the unfinished uploads under a prefix, a thousand at most. Returns how many there were."""
    uploads = s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
    for upload in uploads:
        try:
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        except ClientError as error:
            if _code(error) != "NoSuchUpload":
                raise
    return len(uploads)


def _code(error: ClientError) -> str:
    return error.response["Error"].get("Code", "")


@contextmanager
def _explained(bucket: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise S3Failure(f"S3 could not be used for {bucket}: {error}") from error
