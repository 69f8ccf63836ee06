"""Sessions of `sts:GetSessionToken`: their permitted calls, their duration, and their end.

They outlive the key that asked for them, and no policy can forbid asking (STS API reference, GetSessionToken; IAM user guide,
"Permissions for GetSessionToken"). ministack gives them for any time, lets them call IAM, and lets them go on in a new user of the
same name.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam, s3, sts

# In seconds (STS API reference, GetSessionToken). The account's root gets an hour at the most; nothing of ours is root.
MIN_SECONDS, MAX_SECONDS = 900, 129_600
# "You cannot call any STS API except AssumeRole or GetCallerIdentity", and none of IAM's without MFA, which nobody has here.
# Two more have a refusal of their own, further on.
STS_ACTIONS = ("sts:AssumeRole", "sts:GetCallerIdentity", "sts:GetSessionToken", "sts:GetFederationToken")
INVALID = "The security token included in the request is invalid."


def install() -> None:
    """Wrap the resolution of credentials, the authorisation, and STS's answers."""
    resolve: Callable[..., Any] = iam_evaluator.resolve_credential
    enforce: Callable[..., Any] = iam_evaluator.enforce

    def resolve_while_user_lives(access_key_id: str, *arguments: Any, **named: Any) -> Any:
        credential = resolve(access_key_id, *arguments, **named)
        if isinstance(credential, iam_evaluator.ResolvedCredential) and _is_orphan(credential):
            return iam_evaluator.CredentialResolutionError("InvalidClientTokenId", INVALID)
        return credential

    def enforce_within_session(access_key_id: str, iam_action: str, *arguments: Any, **named: Any) -> Any:
        if _is_user_session(access_key_id) and iam_action.startswith(("iam:", "sts:")) and iam_action not in STS_ACTIONS:
            return iam_evaluator.AuthError("InvalidClientTokenId", INVALID)
        return enforce(access_key_id, iam_action, *arguments, **named)

    for module in (iam_evaluator, sts, s3):
        module.resolve_credential = resolve_while_user_lives
    iam_evaluator.enforce = enforce_within_session
    sts.handle_request = _within_duration(sts.handle_request)


def _is_user_session(access_key_id: str) -> bool:
    return (sts._sessions.get(access_key_id) or {}).get("PrincipalType") == "User"


def _is_orphan(credential: Any) -> bool:
    """Return whether it is a session of a deleted user: another user of the same name is somebody else."""
    if not _is_user_session(credential.access_key_id):
        return False
    user = iam._users.get_scoped(credential.account_id, None, credential.principal_name)
    return user is None or user["UserId"] != credential.principal_id


def _within_duration(handle: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def answer(method: str, path: str, headers: Any, body: bytes, query_params: Any) -> Any:
        request = sts.parse_qs(body.decode("utf-8", errors="replace")) if method == "POST" else query_params
        if iam._p(request, "Action") == "GetSessionToken" and (refused := _refused(iam._p(request, "DurationSeconds"))):
            return iam._error(400, "ValidationError", refused, ns="sts")
        return await handle(method, path, headers, body, query_params)

    return answer


def _refused(duration: str) -> str:
    """Return AWS's reason to refuse a session of this many seconds; empty if it does not."""
    if not duration or MIN_SECONDS <= int(duration) <= MAX_SECONDS:
        return ""
    bound = f"greater than or equal to {MIN_SECONDS}" if int(duration) < MIN_SECONDS else f"less than or equal to {MAX_SECONDS}"
    return (
        f"1 validation error detected: Value '{duration}' at 'durationSeconds' failed to satisfy constraint: "
        f"Member must have value {bound}"
    )
