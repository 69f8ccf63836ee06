"""The S3 rules' shared basis: the place through which requests for objects pass, and further rights of their callers."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from ministack.core import iam_evaluator, router
from ministack.services import s3

Answer = tuple[int, dict[str, str], bytes]
# What a request may be about instead of the object itself.
SUBRESOURCES = ("tagging", "acl", "retention", "legal-hold", "annotation", "restore")


class ObjectRequest(NamedTuple):
    """A request as S3's handler has it, after its signature and its own action were checked."""

    method: str
    bucket: str
    key: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, Any]

    @property
    def arn(self) -> str:
        """ARN of the object."""
        return object_arn(self.bucket, self.key)

    def parameter(self, name: str) -> str:
        """Return a parameter of the URL, empty where it is missing."""
        return str(s3._qp(self.query, name, "") or "")


Handle = Callable[[ObjectRequest], Answer]


def wrap_dispatch(rule: Callable[[ObjectRequest, Handle], Answer]) -> None:
    """Pass every request to S3 through `rule`, which gets the request and the handler that answers it otherwise."""
    dispatch: Callable[..., Answer] = s3._dispatch

    def answer(request: ObjectRequest) -> Answer:
        return dispatch(*request)

    def dispatch_by_rule(*request: Any) -> Answer:
        return rule(ObjectRequest(*request), answer)

    s3._dispatch = dispatch_by_rule


def refusal(request: ObjectRequest, action: str, arn: str, context: Mapping[str, Any]) -> Answer | None:
    """Return S3's refusal, in its words, where the request's caller may not do this as well; None where they may."""
    key_id = router.extract_access_key_id(request.headers, request.query)
    region = router.extract_region(request.headers, request.query)
    denied = iam_evaluator.enforce(key_id, action, "s3", region, resource_arn=arn, service_context=dict(context))
    if denied is None:
        return None
    if isinstance(denied, iam_evaluator.AuthError):
        return s3._error("AccessDenied", "Access Denied", 403, f"/{request.bucket}/{request.key}")  # type: ignore[no-any-return]
    explicit = denied.decision == "Deny"
    why = "with an explicit deny in an identity-based policy"
    if not explicit:
        why = f"because no identity-based policy allows the {action} action"
    message = f'User: {denied.principal_arn} is not authorized to perform: {action} on resource: "{arn}" {why}'
    return s3._error("AccessDenied", message, 403, f"/{request.bucket}/{request.key}")  # type: ignore[no-any-return]


def object_arn(bucket: str, key: str) -> str:
    """Return an object's ARN as policies name it."""
    return f"arn:aws:s3:::{bucket}/{key}"


def upload_id_of(body: bytes) -> str:
    """Return the id in the answer to CreateMultipartUpload."""
    return body.partition(b"<UploadId>")[2].partition(b"</UploadId>")[0].decode()


def copy_source(headers: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Return the bucket, key and version (or an empty one) that a copy reads; None where nothing is copied."""
    path, _, query = headers.get("x-amz-copy-source", "").partition("?")
    bucket, slash, key = unquote(path).removeprefix("/").partition("/")
    version = query.removeprefix("versionId=") if query.startswith("versionId=") else ""
    return (bucket, key, unquote(version)) if slash else None
