"""SimulatePrincipalPolicy as in IAM: with the condition keys of the request, the boundary, and every resource.

IAM API reference, "SimulatePrincipalPolicy". ministack looks at the identity's policies alone, and finds none of a role with a
path.
"""

from itertools import count
from typing import Any
from xml.sax.saxutils import escape

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import PrincipalInfo
from ministack.core.responses import get_account_id
from ministack.services import iam

from local_aws import _acting_principal
from local_aws.rights.permission_check import ANY, PermissionCheck

Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Replace ministack's own action in its table."""
    iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = simulate


def simulate(parameters: dict[str, Any]) -> Answer:
    """Answer one result for each action on each resource; resources' own policies do not count unless they are passed on."""
    arn = iam._p(parameters, "PolicySourceArn")
    principal = _principal(arn)
    if principal is None:
        return iam._error(404, "NoSuchEntity", f"The entity with ARN {arn} cannot be found.")  # type: ignore[no-any-return]
    context = {
        iam._p(parameters, f"{place}.ContextKeyName"): _context_value(parameters, place)
        for place in _members(parameters, "ContextEntries", ".ContextKeyName")
    }
    results = "".join(
        _result(action, resource, _acting_principal.simulated_decision(principal, PermissionCheck(action, resource, context)))
        for action in _values(parameters, "ActionNames")
        for resource in _values(parameters, "ResourceArns") or [ANY]
    )
    body = f"<EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>"
    named = "SimulatePrincipalPolicy"
    return iam._xml(200, f"{named}Response", f"<{named}Result>{body}</{named}Result>", ns="iam")  # type: ignore[no-any-return]


def _principal(arn: str) -> _acting_principal.Principal | None:
    kind, _, path = arn.rpartition(":")[2].partition("/")
    name = path.rpartition("/")[2]
    store = {"role": iam._roles, "user": iam._users}.get(kind)
    if store is None or name not in store or store[name]["Arn"] != arn:
        return None
    if kind == "role":
        return _acting_principal.role_principal(arn)
    account = get_account_id()
    info = PrincipalInfo(
        arn=arn,
        type="User",
        account=account,
        policies=iam_evaluator._gather_user_policies(name, account),
        keys={},
        limits=iam_evaluator._permissions_boundary(iam._users, name, account),
    )
    return _acting_principal.principal_from_info(info)


def _result(action: str, resource: str, decision: str) -> str:
    return (
        f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>{escape(resource)}</EvalResourceName>"
        f"<EvalDecision>{decision}</EvalDecision><MatchedStatements/><MissingContextValues/></member>"
    )


def _members(parameters: dict[str, Any], name: str, part: str = "") -> list[str]:
    """Return the parameter prefixes of a list's members, such as `ActionNames.member.1`, as long as there are any."""
    members: list[str] = []
    for number in count(1):
        place = f"{name}.member.{number}"
        if not iam._p(parameters, f"{place}{part}"):
            return members
        members.append(place)
    return members


def _values(parameters: dict[str, Any], name: str) -> list[str]:
    return [str(iam._p(parameters, place)) for place in _members(parameters, name)]


def _context_value(parameters: dict[str, Any], place: str) -> Any:
    values = _values(parameters, f"{place}.ContextKeyValues")
    is_list = str(iam._p(parameters, f"{place}.ContextKeyType")).endswith("List")
    return values if is_list or len(values) != 1 else values[0]
