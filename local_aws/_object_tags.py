"""Rights on object tags: setting them while writing or copying needs the right to tag, and a copy needs to read the source's.

S3's API reference, "PutObject" ("To successfully set the tag-set with your PutObject request, you must have the
s3:PutObjectTagging"), "CreateMultipartUpload" and "CopyObject"; AWS's knowledge centre, "s3-troubleshoot-copy-between-buckets": a
copy of an object that has tags needs s3:GetObjectTagging on the source and s3:PutObjectTagging where it goes. The tags that a
request sets are condition keys (S3's user guide, "Tagging and access control policies"); whether those of a copied object are, no
document says, and here they are not.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl
from xml.etree.ElementTree import ParseError

from ministack.core import iam_actions
from ministack.services import s3

from local_aws._s3_requests import (
    SUBRESOURCES,
    Answer,
    Handle,
    ObjectRequest,
    copy_source,
    object_arn,
    refusal,
    upload_id_of,
    wrap_dispatch,
)

Context = dict[str, Any]
# Of ministack's record of an unfinished upload; it is saved with the rest of S3's state.
RECORD = "tags"
WRITES_TAGS = ("s3:PutObjectTagging", "s3:PutObjectVersionTagging")


def install() -> None:
    """Check these rights, pass the tags to policies, and give the tags of an upload in parts to the object."""
    wrap_dispatch(_allowed)
    wrap_dispatch(_of_uploads)
    _tell_policies()


def _tell_policies() -> None:
    of_write: Callable[..., Context] = iam_actions.s3_service_context
    of_body: Callable[..., Context] = iam_actions.request_tag_context

    def write_context(action: str, query: Any, path: str = "", headers: Any = None) -> Context:
        sent = _sent(headers or {}) if action == "s3:PutObject" else {}
        return {**of_write(action, query, path, headers), **_context(sent)}

    def body_context(service: str, action: str, body: bytes, params: Any) -> Context:
        if action not in WRITES_TAGS:
            return of_body(service, action, body, params)
        try:
            return _context(s3._parse_tags_xml(body))
        except (ParseError, ValueError, AttributeError):
            # S3 refuses such a body itself.
            return {}

    iam_actions.s3_service_context, iam_actions.request_tag_context = write_context, body_context


def _allowed(request: ObjectRequest, handle: Handle) -> Answer:
    for action, arn, context in _needs(request):
        if refused := refusal(request, action, arn, context):
            return refused
    return handle(request)


def _needs(request: ObjectRequest) -> Iterable[tuple[str, str, Context]]:
    source = copy_source(request.headers)
    if not _begins_an_object(request):
        return
    if source and request.headers.get("x-amz-tagging-directive", "COPY").upper() == "COPY":
        bucket, key, version = source
        if s3.object_tags_for_condition(bucket, key, {"versionId": version} if version else {}):
            yield f"s3:GetObject{'Version' if version else ''}Tagging", object_arn(bucket, key), {}
            yield "s3:PutObjectTagging", request.arn, {}
    elif sent := _sent(request.headers):
        yield "s3:PutObjectTagging", request.arn, _context(sent)


def _begins_an_object(request: ObjectRequest) -> bool:
    """Return whether the request writes or copies a whole object, or begins an upload in parts."""
    if not request.key or "uploadId" in request.query:
        return False
    if request.method == "POST":
        return "uploads" in request.query
    return request.method == "PUT" and not any(subresource in request.query for subresource in SUBRESOURCES)


def _of_uploads(request: ObjectRequest, handle: Handle) -> Answer:
    upload = s3._multipart_uploads.get(request.parameter("uploadId")) if request.method == "POST" else None
    answer = handle(request)
    if answer[0] >= 300 or request.method != "POST" or not request.key:
        return answer
    if "uploads" in request.query and (sent := _sent(request.headers)):
        s3._multipart_uploads[upload_id_of(answer[2])][RECORD] = sent
    elif upload and (tags := upload.get(RECORD)):
        bucket = s3._buckets[request.bucket]
        s3._object_tags[(request.bucket, request.key, bucket["objects"][request.key].get("version_id"))] = tags
        s3._persist_version_state(request.bucket, request.key, bucket)
    return answer


def _sent(headers: Any) -> dict[str, str]:
    return dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))


def _context(tags: dict[str, str]) -> Context:
    if not tags:
        return {}
    return {"s3:RequestObjectTagKeys": list(tags)} | {f"s3:RequestObjectTag/{name}": value for name, value in tags.items()}
