"""Whether a bucket's name is free, asked of S3 itself: all AWS accounts share the names.

S3 API reference, HeadBucket: 404 where there is no such bucket, 403 where there is one that the caller may not look into. The first
question is asked without credentials, so that it means the same whoever runs it and needs no right: the web process has none.
"""

from enum import Enum

from botocore import UNSIGNED
from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from control_plane.access.groups.errors import BucketNotAsked, BucketTaken
from control_plane.base import aws
from control_plane.base.aws import Place

# A page waits for the answer.
CONNECT_SECONDS, READ_SECONDS, TRIES = 3, 5, 2


class Holder(Enum):
    """Who has a bucket of a name."""

    NOBODY = "nobody"
    OURS = "this AWS account"
    SOMEBODY = "somebody"


def require_free(bucket: str) -> None:
    """Refuse a bucket that could not be made because there is one of its name. Raises BucketTaken or BucketNotAsked."""
    match holder_of(bucket):
        case Holder.OURS:
            raise BucketTaken(
                f"There is a bucket {bucket!r} in this AWS account already, which Cohort did not make. Nothing was changed; choose "
                "another name."
            )
        case Holder.SOMEBODY:
            raise BucketTaken(
                f"The bucket name {bucket!r} is taken: all AWS accounts share these names, and another account has it (or this "
                "one, where Cohort may not look). Nothing was changed; choose another name."
            )


def holder_of(bucket: str) -> Holder:
    """Ask S3 who has the bucket. Raises BucketNotAsked."""
    status = _head(bucket, BotoConfig(signature_version=UNSIGNED))
    if status == 404:
        return Holder.NOBODY
    # S3 answers 403 where the bucket is not this account's (HeadBucket, x-amz-expected-bucket-owner).
    return Holder.OURS if _head(bucket, BotoConfig(), ExpectedBucketOwner=Place.of_site().account) == 200 else Holder.SOMEBODY


def _head(bucket: str, options: BotoConfig, **more: str) -> int:
    """The status that S3 answers with: 200, 403 or 404. Raises BucketNotAsked for whatever says nothing of the bucket."""
    patience = BotoConfig(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries={"total_max_attempts": TRIES})
    client = aws.client("s3", Place.of_site(), config=patience.merge(options))
    try:
        client.head_bucket(Bucket=bucket, **more)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        # A bucket of another region: S3 tells where it is, and there it is.
        if status in (301, 400):
            return 403
        if status not in (403, 404):
            raise _no_answer(bucket, f"S3 answered {status}") from error
        return int(status)
    except BotoCoreError as error:
        if more:
            # Without credentials nobody can tell whose it is.
            return 403
        raise _no_answer(bucket, str(error)) from error
    return 200


def _no_answer(bucket: str, why: str) -> BucketNotAsked:
    return BucketNotAsked(
        f"AWS could not be asked whether the bucket name {bucket!r} is free: {why.rstrip('.')}. Nothing was changed; try again "
        "once S3 can be reached from here."
    )
