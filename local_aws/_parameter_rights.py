"""Rights on a stack's parameters of `AWS::SSM::Parameter::Value<...>`: read as the principal CloudFormation acts for.

CloudFormation user guide, "Specify existing resources at runtime with CloudFormation-supplied parameter types"; AWS's words as
reported in aws/aws-cdk issue 20959.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ministack.core.responses import get_account_id, get_region
from ministack.services import ssm

from local_aws import _acting_principal
from local_aws.rights.changes import Scope
from local_aws.rights.permission_check import PermissionCheck

ACTION = "ssm:GetParameters"
REFUSED = f"AccessDenied. User doesn't have permission to call {ACTION}"
# The role of the operation that is going on, empty for the caller's own rights; None where CloudFormation is not at work.
_role: ContextVar[str | None] = ContextVar("role", default=None)


def install() -> None:
    """Wrap CloudFormation's look-up of parameters."""
    resolve = ssm.resolve_parameter_value

    def resolve_allowed(name: str, *arguments: Any, **named: Any) -> Any:
        if (role := _role.get()) is not None:
            _check(_acting_principal.role_principal(role) if role else _acting_principal.caller_principal(), name)
        return resolve(name, *arguments, **named)

    ssm.resolve_parameter_value = resolve_allowed


@contextmanager
def reading_as(role: str) -> Iterator[None]:
    """Read parameters as this role, or as the caller where it is empty; also in work that goes on after the request."""
    token = _role.set(role)
    try:
        yield
    finally:
        _role.reset(token)


def _check(principal: _acting_principal.Principal, name: str) -> None:
    scope = Scope(get_account_id(), get_region())
    path = f"parameter/{name.removeprefix('/')}"
    # What AWS publishes belongs to no account.
    arn = scope.of_aws("ssm", path) if path.startswith("parameter/aws/") else scope.arn("ssm", path)
    if _acting_principal.refusal(principal, PermissionCheck(ACTION, arn), {}) is not None:
        raise ValueError(REFUSED)
