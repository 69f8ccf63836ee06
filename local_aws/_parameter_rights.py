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

from local_aws import _acting
from local_aws.rights.asked import Asked
from local_aws.rights.changes import Place

ACTION = "ssm:GetParameters"
REFUSED = f"AccessDenied. User doesn't have permission to call {ACTION}"
# The role of the operation that is going on, empty for the caller's own rights; None where CloudFormation is not at work.
_role: ContextVar[str | None] = ContextVar("role", default=None)


def install() -> None:
    """Wrap CloudFormation's look-up of parameters."""
    resolve = ssm.resolve_parameter_value

    def resolve_allowed(name: str, *arguments: Any, **named: Any) -> Any:
        if (role := _role.get()) is not None:
            _check(_acting.of_role(role) if role else _acting.of_caller(), name)
        return resolve(name, *arguments, **named)

    ssm.resolve_parameter_value = resolve_allowed


@contextmanager
def read_by(role: str) -> Iterator[None]:
    """Read parameters as this role, or as the caller where it is empty; also in work that goes on after the request."""
    token = _role.set(role)
    try:
        yield
    finally:
        _role.reset(token)


def _check(principal: _acting.Principal, name: str) -> None:
    place = Place(get_account_id(), get_region())
    path = f"parameter/{name.removeprefix('/')}"
    # What AWS publishes belongs to no account.
    arn = place.of_aws("ssm", path) if path.startswith("parameter/aws/") else place.arn("ssm", path)
    if _acting.refusal(principal, Asked(ACTION, arn), {}) is not None:
        raise ValueError(REFUSED)
