"""Refusal (409) of a conditional write whose condition holds, where the key was written or deleted since the write began.

S3's user guide, "How to prevent object overwrites with conditional writes", section "Conditional write behavior"; API reference,
"PutObject" ("On a 409 failure, retry the upload") and "CompleteMultipartUpload", where the upload has to be begun anew. An upload
in parts begins with CreateMultipartUpload. What was written before a restart of the embedded AWS is not known any more.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from itertools import count
from typing import Any

from ministack.core import iam_actions
from ministack.services import s3

from local_aws._s3_requests import SUBRESOURCES, Answer, Handle, ObjectRequest, object_arn, upload_id_of, wrap_dispatch

Application = Callable[[Any, Any, Any], Awaitable[None]]
CODE = "ConditionalRequestConflict"
MESSAGE = "The conditional request cannot succeed due to a conflicting operation against this resource."
# Moments, in their order.
_moments = count(1)
_request_began: ContextVar[int] = ContextVar("request_began", default=0)


def record_request_starts(app: Application) -> Application:
    """Wrap the application so that the moment of each request's first byte is known."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        _request_began.set(next(_moments))
        await app(scope, receive, send)

    return answer


def install() -> None:
    """Install the refusal."""
    changed: dict[tuple[str, str], int] = {}
    uploads_began: dict[str, int] = {}

    def rule(request: ObjectRequest, handle: Handle) -> Answer:
        upload_id = request.parameter("uploadId")
        began = uploads_began.get(upload_id, next(_moments)) if upload_id else _request_began.get()
        if (condition := _condition_that_holds(request)) and changed.get((request.bucket, request.key), 0) > began:
            return s3._object_error(CODE, MESSAGE, 409, Condition=condition, Key=request.key)  # type: ignore[no-any-return]
        answer = handle(request)
        if answer[0] < 300:
            if request.method == "POST" and "uploads" in request.query:
                uploads_began[upload_id_of(answer[2])] = next(_moments)
            elif request.method in ("PUT", "POST", "DELETE") and _changes(request):
                changed[(request.bucket, request.key)] = next(_moments)
            elif request.method == "POST" and "delete" in request.query:
                for arn, _ in iam_actions._s3_batch_delete_targets(request.bucket, request.body):
                    changed[(request.bucket, arn.removeprefix(object_arn(request.bucket, "")))] = next(_moments)
        return answer

    wrap_dispatch(rule)


def _condition_that_holds(request: ObjectRequest) -> str:
    """Return the condition's header of a conditional write that nothing else refuses; otherwise an empty string."""
    name = "If-None-Match" if "if-none-match" in request.headers else "If-Match" if "if-match" in request.headers else ""
    bucket = s3._buckets.get(request.bucket)
    if not name or request.method not in ("PUT", "POST") or not _changes(request) or bucket is None:
        return ""
    if request.method == "POST" and request.parameter("uploadId") not in s3._multipart_uploads:
        return ""
    broken = s3._check_put_preconditions(request.headers, bucket["objects"].get(request.key))
    return "" if broken else name


def _changes(request: ObjectRequest) -> bool:
    """Return whether the request writes, copies, completes or deletes an object."""
    if not request.key or any(subresource in request.query for subresource in SUBRESOURCES):
        return False
    return ("uploadId" in request.query) == (request.method == "POST")
