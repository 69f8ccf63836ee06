"""Checks of requests to IAM against the principal's own ARN, path included, as in IAM; ministack leaves the path out.

Where a request names a key alone, AWS checks the user who holds it (Service Authorization Reference, IAM).
"""

from collections.abc import Callable
from typing import Any

from ministack.core import iam_actions
from ministack.services import iam


def use_full_arns() -> None:
    """Have ministack's evaluator see users, groups and roles by the ARNs that they have."""
    original: Callable[..., str] = iam_actions.extract_resource_arn

    def extract(service: str, method: str, path: str, headers: Any, body: bytes, params: Any, *rest: Any) -> str:
        arn = original(service, method, path, headers, body, params, *rest)
        return _own_arn(params) or arn if service == "iam" else arn

    iam_actions.extract_resource_arn = extract
    iam._IAM_HANDLERS["ListAccessKeys"] = list_access_keys


def list_access_keys(parameters: dict[str, Any]) -> Any:
    """Answer ListAccessKeys; refuse for a missing user, whom ministack answers too (IAM API reference, its errors)."""
    user = iam._p(parameters, "UserName")
    if user and user not in iam._users:
        return iam._error(404, "NoSuchEntity", f"The user with name {user} cannot be found.")
    return iam._list_access_keys(parameters)


def _own_arn(params: dict[str, Any]) -> str:
    """Return the ARN of the principal that the request names; empty if it names none that exists."""
    user = iam_actions._query_param(params, "UserName")
    if not user and (key := iam_actions._query_param(params, "AccessKeyId")) in iam._access_keys:
        user = iam._access_keys[key]["UserName"]
    named = (
        (iam._roles, iam_actions._query_param(params, "RoleName")),
        (iam._users, user),
        (iam._groups, iam_actions._query_param(params, "GroupName")),
    )
    return next((str(records[name]["Arn"]) for records, name in named if name and name in records), "")
