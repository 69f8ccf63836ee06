"""Availability of bucket names, asked of S3 itself: all AWS accounts share the names.

S3 API reference, HeadBucket: 404 where there is no such bucket, 403 where there is one that the caller may not access. The first
request is sent without credentials, so that it means the same for every caller and needs no right: the web process has none.
"""

from enum import Enum

from botocore import UNSIGNED
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from control_plane.access.groups.errors import BucketNotAsked, BucketTaken
from control_plane.base import aws
from control_plane.base.aws import Place

# A page waits for the answer.
CONNECT_SECONDS, READ_SECONDS, MAX_ATTEMPTS = 3, 5, 2


class BucketOwner(Enum):
    """Owner of the bucket of a name."""

    NOBODY = "nobody"
    OURS = "this AWS account"
    SOMEBODY = "somebody"


def require_free(bucket: str) -> None:
    """Raise BucketTaken if a bucket of this name exists, or BucketNotAsked if S3 does not tell."""
    match bucket_owner(bucket):
        case BucketOwner.OURS:
            raise BucketTaken(
                f"There is a bucket {bucket!r} in this AWS account already, which Cohort did not make. Nothing was changed; choose "
                "another name."
            )
        case BucketOwner.SOMEBODY:
            raise BucketTaken(
                f"The bucket name {bucket!r} is taken: all AWS accounts share these names, and another account has it (or this "
                "one, where Cohort may not look). Nothing was changed; choose another name."
            )


def bucket_owner(bucket: str) -> BucketOwner:
    """Ask S3 who owns the bucket of this name. Raises BucketNotAsked."""
    status = _head(bucket, BotoConfig(signature_version=UNSIGNED))
    if status == 404:
        return BucketOwner.NOBODY
    # S3 answers 403 where the bucket is not this account's (HeadBucket, x-amz-expected-bucket-owner).
    return (
        BucketOwner.OURS
        if _head(bucket, BotoConfig(), ExpectedBucketOwner=Place.of_site().account) == 200
        else BucketOwner.SOMEBODY
    )


def _head(bucket: str, options: BotoConfig, **more: str) -> int:
    """Return the HTTP status that S3 answers with: 200, 403 or 404. Raises BucketNotAsked for any other answer, or none."""
    patience = BotoConfig(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": MAX_ATTEMPTS})
    client = aws.client("s3", Place.of_site(), config=patience.merge(options))
    try:
        client.head_bucket(Bucket=bucket, **more)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        # S3 redirects to the region of the bucket, so the bucket exists.
        if status in (301, 400):
            return 403
        if status not in (403, 404):
            raise _no_answer(bucket, f"S3 answered {status}") from error
        return int(status)
    except BotoCoreError as error:
        if more:
            # Without credentials the owner cannot be told.
            return 403
        raise _no_answer(bucket, str(error)) from error
    return 200


def _no_answer(bucket: str, why: str) -> BucketNotAsked:
    return BucketNotAsked(
        f"AWS could not be asked whether the bucket name {bucket!r} is free: {why.rstrip('.')}. Nothing was changed; try again "
        "once S3 can be reached from here."
    )
