"""The role that a stack keeps once it was given, and the caller's right to pass it on.

CloudFormation user guide, "AWS CloudFormation service role"; API reference, `RoleARN` of each action.
"""

from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.iam_evaluator import EvalContext
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam
from ministack.services.cloudformation import _change_sets, _stacks, changesets, handlers
from ministack.services.cloudformation.helpers import _error

from local_aws import _acting_principal, _refusals
from local_aws._parameter_rights import reading_as
from local_aws.rights.permission_check import PermissionCheck

Handler = Callable[[dict[str, Any]], Any]
# Of a stack, and of a change set until it is executed.
KEPT = "_role_arn"
ON_STACKS = ("CreateStack", "UpdateStack", "DeleteStack", "ContinueUpdateRollback", "RollbackStack")


def install() -> None:
    """Wrap the actions that take a role, and the one that shows it."""
    table = handlers._ACTION_HANDLERS
    for name in ON_STACKS:
        table[name] = _keeping_role(table[name])
    table["CreateChangeSet"] = _with_change_set(table["CreateChangeSet"])
    table["ExecuteChangeSet"] = _executing(table["ExecuteChangeSet"])
    table["DescribeStacks"] = _showing_role(table["DescribeStacks"])


def stack_role(stack: str) -> str:
    """Return the ARN of the role that a stack, or the one that it is nested in, was given; empty if none was."""
    record = _stacks.get(stack)
    while record is not None:
        if record.get(KEPT):
            return str(record[KEPT])
        record = _stacks.get(record.get("_parent_stack_name", ""))
    return ""


def _keeping_role(act: Handler) -> Handler:
    def kept(parameters: dict[str, Any]) -> Any:
        named = handlers._resolve_stack(handlers._p(parameters, "StackName"))
        role = handlers._p(parameters, "RoleARN")
        held = _current_role(named)
        if refused := _refused(role, held):
            return refused
        with reading_as(role or held):
            answer = act(parameters)
        # What is done begins when the answer is sent.
        if role and answer[0] < 400 and (stack := handlers._resolve_stack(handlers._p(parameters, "StackName"))):
            stack[KEPT] = role
        return answer

    return kept


def _with_change_set(create: Handler) -> Handler:
    def created(parameters: dict[str, Any]) -> Any:
        named = handlers._resolve_stack(handlers._p(parameters, "StackName"))
        role = handlers._p(parameters, "RoleARN")
        held = _current_role(named)
        if refused := _refused(role, held):
            return refused
        before = set(_change_sets.keys())
        with reading_as(role or held):
            answer = create(parameters)
        for change_set in set(_change_sets.keys()) - before:
            _change_sets[change_set][KEPT] = role
        return answer

    return created


def _executing(execute: Handler) -> Handler:
    def executed(parameters: dict[str, Any]) -> Any:
        _, change_set = changesets._find_change_set(handlers._p(parameters, "ChangeSetName"), handlers._p(parameters, "StackName"))
        role = str((change_set or {}).get(KEPT, ""))
        stack = _stacks.get((change_set or {}).get("StackName", ""))
        with reading_as(role or _current_role(stack)):
            answer = execute(parameters)
        if role and answer[0] < 400 and stack is not None:
            stack[KEPT] = role
        return answer

    return executed


def _showing_role(describe: Handler) -> Handler:
    def described(parameters: dict[str, Any]) -> Any:
        status, headers, body = describe(parameters)
        text = body.decode()
        for name, stack in _stacks.items():
            if role := stack_role(name):
                stack_id = f"<StackId>{stack['StackId']}</StackId>"
                text = text.replace(stack_id, f"{stack_id}<RoleARN>{role}</RoleARN>")
        return status, headers, text.encode()

    return described


def _current_role(stack: dict[str, Any] | None) -> str:
    """Return the role that a stack has; empty for a deleted one."""
    return "" if stack is None or stack["StackStatus"] == "DELETE_COMPLETE" else str(stack.get(KEPT, ""))


def _refused(passed: str, kept: str) -> Any:
    """Return AWS's answer where the caller may not pass the role, or CloudFormation cannot assume it; else None."""
    if passed:
        try:
            denied = _denied(passed)
        except _acting_principal.UnknownPrincipal as error:
            return _error("AccessDenied", str(error), 403)
        if denied is not None:
            return _error("AccessDenied", _refusals.denial_sentence(denied), 403)
    role = passed or kept
    return _error("ValidationError", f"Role {role} is invalid or cannot be assumed") if role and not _can_be_assumed(role) else None


def _denied(role: str) -> _acting_principal.Denied | None:
    """Return the caller's refusal of iam:PassRole (IAM user guide, "Grant a user permissions to pass a role to an AWS service")."""
    caller = _acting_principal.caller_principal()
    caller.keys = {}
    return _acting_principal.refusal(
        caller, PermissionCheck("iam:PassRole", role, {"iam:PassedToService": _acting_principal.SERVICE}), {}
    )


def _can_be_assumed(role: str) -> bool:
    """Return whether the role exists, and lets CloudFormation assume it."""
    record = iam._roles.get(role.rpartition("/")[2])
    if record is None or record["Arn"] != role:
        return False
    context = EvalContext(_acting_principal.SERVICE, "Service", get_account_id(), "sts:AssumeRole", role, get_region())
    trust = record["AssumeRolePolicyDocument"]
    return bool(iam_evaluator.evaluate_resource_policy(trust, context, service=_acting_principal.SERVICE).decision == "Allow")
