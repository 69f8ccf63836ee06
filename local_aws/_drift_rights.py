"""Drift detection reads each resource with the rights of whoever asks for it, as on AWS; ministack reads everything.

Source: CloudFormation user guide, "Detect unmanaged configuration changes": the caller needs read permission for each resource that
supports drift detection. Of a type's whole read handler the first question stands for all here: what is refused is UNKNOWN with its
reason, the detection DETECTION_FAILED, and the other resources have their results.
"""

import contextvars
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_region
from ministack.services import iam, secretsmanager
from ministack.services.cloudformation import drift, handlers

Reader = Callable[[str, dict[str, Any]], dict[str, Any] | None]

# Not while CloudFormation itself looks, for a drift-aware change set: it has a role of its own.
_asks: contextvars.ContextVar[bool] = contextvars.ContextVar("drift_is_asked_for", default=False)
# Of each type: the action, and the records of the service, whose ARN is the resource.
READS: dict[str, tuple[str, Callable[[], Any]]] = {
    "AWS::IAM::Group": ("iam:GetGroup", lambda: iam._groups),
    "AWS::IAM::ManagedPolicy": ("iam:GetPolicy", lambda: iam._policies),
    "AWS::IAM::Role": ("iam:GetRole", lambda: iam._roles),
    "AWS::IAM::User": ("iam:GetUser", lambda: iam._users),
    "AWS::SecretsManager::Secret": ("secretsmanager:DescribeSecret", lambda: secretsmanager._secrets),
}


class Refused(Exception):
    """The caller may not read it. The message is AWS's own."""


def install() -> None:
    """Wrap the readers of our stacks' types. Comes after those of `_drift`."""
    for kind, (action, records) in READS.items():
        reader, properties = drift._DRIFT_READERS[kind]
        drift._DRIFT_READERS[kind] = (_with_rights(reader, action, records), properties)
    for call in ("DetectStackDrift", "DetectStackResourceDrift"):
        handlers._ACTION_HANDLERS[call] = _asking(handlers._ACTION_HANDLERS[call])


def _asking(handler: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*arguments: Any) -> Any:
        token = _asks.set(True)
        try:
            return handler(*arguments)
        finally:
            _asks.reset(token)

    return ask


def _with_rights(reader: Reader, action: str, records: Callable[[], Any]) -> Reader:
    def read(physical_id: str, properties: dict[str, Any]) -> dict[str, Any] | None:
        record = records().get(physical_id)
        if _asks.get() and record is not None:
            _check(action, record.get("Arn") or record.get("ARN") or physical_id)
        return reader(physical_id, properties)

    return read


def _check(action: str, arn: str) -> None:
    outcome = iam_evaluator.enforce(iam_evaluator._verified_key.get(), action, action.partition(":")[0], get_region(), arn)
    if outcome is not None:
        raise Refused(
            f"User: {iam_evaluator.caller_arn()} is not authorized to perform: {action} on resource: {arn} because no "
            f"identity-based policy allows the {action} action"
        )
