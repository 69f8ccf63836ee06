"""HEAD or GET of a missing object: 404 to a caller who may list its bucket, 403 to anyone else.

S3's API reference, "HeadObject" and "GetObject", section "Permissions". It does not say whether a right to list under a condition
on `s3:prefix` counts. A file beside the state decides: 403, the stricter, unless it holds 404, by which the key is the prefix.
"""

from pathlib import Path

from local_aws._s3_requests import Answer, Handle, ObjectRequest, refusal, wrap_dispatch

NOT_FOUND = 404


def install(file: Path) -> None:
    """Install the rule. `file` is read anew for each missing object."""

    def rule(request: ObjectRequest, handle: Handle) -> Answer:
        answer = handle(request)
        if answer[0] != NOT_FOUND or not _reads_an_object(request) or b"NoSuchBucket" in answer[2]:
            return answer
        context = {"s3:prefix": request.key} if _prefix_counts(file) else {}
        return refusal(request, "s3:ListBucket", f"arn:aws:s3:::{request.bucket}", context) or answer

    wrap_dispatch(rule)


def _reads_an_object(request: ObjectRequest) -> bool:
    # An unfinished upload that is not there is no object.
    return bool(request.key) and request.method in ("GET", "HEAD") and "uploadId" not in request.query


def _prefix_counts(file: Path) -> bool:
    try:
        return file.read_text().strip() == str(NOT_FOUND)
    except OSError:
        return False
