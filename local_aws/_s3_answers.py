"""S3's refusals as S3 words them, and four that ministack leaves out: as recorded from S3.

The recordings are in `tests/data/aws-recorded.json`, and `tests/local_aws/recorded.py` asks for each. The rules besides: S3 user
guide, "Verifying bucket ownership with bucket owner condition"; "Amazon S3 multipart upload limits" (a part but the last has 5 MiB
at least); API reference, "GetObject" (a version's id that S3 never gave is no argument).
"""

import re
from xml.etree import ElementTree

from ministack.core.responses import get_account_id
from ministack.services import s3

from local_aws._s3_requests import Answer, Handle, ObjectRequest, wrap_dispatch

SMALLEST_PART = 5 * 1024 * 1024
OWNER = "x-amz-expected-bucket-owner"
# ministack's own words, and S3's.
WORDS = {
    b"The specified multipart upload does not exist.": (
        b"The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    ),
    b"The Content-MD5 you specified is not valid.": b"The Content-MD5 you specified was invalid.",
}
NOT_EMPTY = b"The bucket you tried to delete is not empty"
ALL_VERSIONS = b". You must delete all versions in the bucket."
# As ministack gives them: S3 too knows its own from others.
_VERSION = re.compile(r"[0-9a-f-]{36}|null")


def install() -> None:
    """Install the refusals."""
    wrap_dispatch(_answer)


def _answer(request: ObjectRequest, handle: Handle) -> Answer:
    if refused := _refusal(request):
        return refused
    status, headers, body = handle(request)
    if status < 400:
        return status, headers, body
    for old, new in WORDS.items():
        body = body.replace(old, new)
    if s3._bucket_has_versions(request.bucket):
        body = body.replace(NOT_EMPTY + b"<", NOT_EMPTY + ALL_VERSIONS + b"<")
    return status, {name: value for name, value in headers.items() if name.lower() != "content-length"}, body


def _refusal(request: ObjectRequest) -> Answer | None:
    bucket = s3._buckets.get(request.bucket)
    if bucket is None:
        return None
    owner = {name.lower(): value for name, value in request.headers.items()}.get(OWNER)
    if owner and owner != get_account_id():
        return _error("AccessDenied", "Access Denied", 403, request)
    version = request.parameter("versionId")
    if version and request.key and request.method in ("GET", "HEAD") and not _is_version(request.bucket, version):
        return _error("InvalidArgument", "Invalid version id specified", 400, request)
    if request.method == "POST" and _has_small_part(request):
        return _error("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", 400, request)
    return None


def _is_version(bucket: str, version: str) -> bool:
    return bool(_VERSION.fullmatch(version)) and (version == "null" or bucket in s3._bucket_versioning)


def _has_small_part(request: ObjectRequest) -> bool:
    """Return whether the request completes an upload with a part, other than the last, that is too small."""
    upload = s3._multipart_uploads.get(request.parameter("uploadId"))
    if not upload:
        return False
    try:
        document = ElementTree.fromstring(request.body)  # noqa: S314 -- of this machine's own callers
        numbers = [int(element.text or 0) for element in document.iter() if element.tag.endswith("PartNumber")]
    except (ValueError, ElementTree.ParseError):
        # Answered by ministack.
        return False
    sizes = [upload["parts"][number]["size"] for number in numbers[:-1] if number in upload["parts"]]
    return any(size < SMALLEST_PART for size in sizes)


def _error(code: str, message: str, status: int, request: ObjectRequest) -> Answer:
    return s3._error(code, message, status, f"/{request.bucket}/{request.key}")  # type: ignore[no-any-return]
