"""Presence of an object, decided correctly whatever S3 answers about a missing one.

For a missing object S3 answers 404 to callers who may list its bucket, and 403 to others (S3's API reference, "HeadObject" and
"GetObject"). It does not say which it answers for a right to list that holds under a prefix alone, as all of ours do. So a 403 is
decided by a listing, which that right allows: an object that is listed is refused, one that is not listed is missing.
"""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

# Versions of a key that are looked through, which is one page of S3's.
MAX_VERSIONS = 1000


def head(client: "S3Client", bucket: str, key: str, **more: Any) -> "HeadObjectOutputTypeDef | None":
    """Return the object's metadata; None if there is no object. Raises what boto3 raises, also if S3 refuses."""
    try:
        return client.head_object(Bucket=bucket, Key=key, **more)
    except ClientError as error:
        if is_missing(client, bucket, key, error):
            return None
        raise


def is_missing(client: "S3Client", bucket: str, key: str, error: ClientError, version: str = "") -> bool:
    """Tell whether S3 answered a HEAD or GET so because the object, or this version of it, is missing.

    Needs a client that may list the key. Where the listing is refused too, or S3 does not answer, nothing is known to be missing.
    """
    if status_of(error) != 403:
        return status_of(error) == 404
    try:
        return not (_has_version(client, bucket, key, version) if version else _is_there(client, bucket, key))
    except (BotoCoreError, ClientError):
        return False


def status_of(error: ClientError) -> int:
    """Return the HTTP status of S3's refusal; 0 if it has none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_there(client: "S3Client", bucket: str, key: str) -> bool:
    # Of all keys that begin so, the key itself comes first.
    return any(entry["Key"] == key for entry in client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("Contents", []))


def _has_version(client: "S3Client", bucket: str, key: str, version: str) -> bool:
    """Tell whether the version exists, or there are more versions than were looked through."""
    page = client.list_object_versions(Bucket=bucket, Prefix=key, MaxKeys=MAX_VERSIONS)
    listed = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    is_cut = page.get("IsTruncated", False) and all(entry["Key"] == key for entry in listed)
    return is_cut or any((entry["Key"], entry["VersionId"]) == (key, version) for entry in listed)
