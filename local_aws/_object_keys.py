"""Keys that begin with a slash, or have several in a row: each is a key of its own, and policies are asked about that key.

S3's user guide, "Naming Amazon S3 objects": a key is a sequence of characters, and S3 has no folders. ministack stores such keys
as they are, and asked the policies about the key without its empty parts: `/lab/x` passed as `lab/x`.
"""

from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions

from local_aws._s3_requests import object_arn

Check = tuple[str, str]


def install() -> None:
    """Have ministack's evaluator see the keys as they are."""
    resource: Callable[..., str] = iam_actions.extract_resource_arn
    action: Callable[..., str | None] = iam_actions._s3_action
    additional: Callable[..., list[Check]] = iam_actions.s3_additional_checks

    def resource_arn(service: str, method: str, path: str, *rest: Any) -> str:
        bucket, key = _split(path)
        return object_arn(bucket, key) if service == "s3" and key else resource(service, method, path, *rest)

    def s3_action(method: str, path: str, query: Any) -> str | None:
        bucket, key = _split(path)
        # A key of slashes alone looked like the bucket.
        return action(method, f"/{bucket}/key" if key else path, query)

    def checks(method: str, path: str, headers: Any, body: bytes, query: Any) -> list[Check]:
        bucket, key = _split(path)
        further = additional(method, f"/{bucket}/key" if key else path, headers, body, query)
        # A copy's source is named by a header, and not by the path.
        return [
            (name, object_arn(bucket, key) if arn == object_arn(bucket, "key") and not _copies(headers) else arn)
            for name, arn in further
        ]

    iam_actions.extract_resource_arn = resource_arn
    iam_actions._s3_action = s3_action
    iam_actions.s3_additional_checks = checks


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.removeprefix("/").partition("/")
    return bucket, key


def _copies(headers: Any) -> bool:
    return "x-amz-copy-source" in headers
