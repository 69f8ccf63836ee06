"""Stack states as on AWS where ministack differs: refusals while a stack is busy, and the end of an update."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from ministack.services.cloudformation import _stack_events, _stacks, handlers, stacks

from local_aws._cleanup import CLEANING_UP

# CREATE_FAILED and UPDATE_FAILED: a stack whose rollback was switched off may be updated where it failed.
UPDATABLE = {
    "CREATE_COMPLETE",
    "CREATE_FAILED",
    "UPDATE_COMPLETE",
    "UPDATE_FAILED",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
}
MILLISECOND = timedelta(milliseconds=1)
Handler = Callable[[dict[str, Any]], Any]


def install() -> None:
    """Wrap ministack's actions and its update."""
    actions = handlers._ACTION_HANDLERS
    actions["CreateChangeSet"] = _where_updatable(actions["CreateChangeSet"])
    actions["DeleteStack"] = _where_idle(actions["DeleteStack"])
    _end_updates()
    _order_events()


def _where_updatable(create: Handler) -> Handler:
    def create_change_set(parameters: dict[str, Any]) -> Any:
        stack = _stack(parameters)
        if stack is not None:
            kind, state = handlers._p(parameters, "ChangeSetType", "UPDATE"), stack["StackStatus"]
            name = handlers._p(parameters, "ChangeSetName")
            if kind == "CREATE" and state != "REVIEW_IN_PROGRESS":
                reason = f"Stack [{stack['StackName']}] already exists and cannot be created again with the changeSet [{name}]."
                return handlers._error("ValidationError", reason)
            if kind == "UPDATE" and state not in UPDATABLE:
                return handlers._error("ValidationError", f"Stack:{stack['StackId']} is in {state} state and can not be updated.")
        return create(parameters)

    return create_change_set


def _where_idle(delete: Handler) -> Handler:
    def delete_stack(parameters: dict[str, Any]) -> Any:
        stack = _stack(parameters)
        if stack is None or not stack["StackStatus"].endswith("_IN_PROGRESS") or stack["StackStatus"] == "REVIEW_IN_PROGRESS":
            return delete(parameters)
        if stack["StackStatus"] == "DELETE_IN_PROGRESS":
            return handlers._xml(200, "DeleteStackResponse", "")
        # AWS would end a creation; ministack would go on creating beside the deletion.
        reason = f"Stack [{stack['StackId']}] cannot be deleted while in status {stack['StackStatus']}"
        return handlers._error("ValidationError", reason)

    return delete_stack


def _end_updates() -> None:
    """Roll back an update that was cancelled during its last resource, and show the clean-up of one that succeeded.

    During the clean-up nothing can cancel the update any more.
    """
    resolve = stacks._resolve_stack_outputs

    def resolve_outputs(*arguments: Any) -> Any:
        stack_name, stack_id = arguments[-2:]
        stack = _stacks[stack_name]
        if stack["StackStatus"] != "UPDATE_IN_PROGRESS":
            return resolve(*arguments)
        if stack.pop("_cancel_requested", False):
            raise ValueError("User Initiated")
        resolved = resolve(*arguments)
        stack["StackStatus"] = CLEANING_UP
        stacks._add_event(stack_id, stack_name, stack_name, "AWS::CloudFormation::Stack", CLEANING_UP, physical_id=stack_id)
        return resolved

    stacks._resolve_stack_outputs = resolve_outputs


def _order_events() -> None:
    """Give no two events of a stack the same time: sorting by time then gives their order."""
    add = stacks._add_event

    def add_event(stack_id: str, *arguments: Any, **named: Any) -> None:
        add(stack_id, *arguments, **named)
        events = _stack_events[stack_id]
        if len(events) > 1 and events[-1]["Timestamp"] <= events[-2]["Timestamp"]:
            before = datetime.fromisoformat(events[-2]["Timestamp"])
            events[-1]["Timestamp"] = (before + MILLISECOND).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    stacks._add_event = add_event
    handlers._add_event = add_event


def _stack(parameters: dict[str, Any]) -> dict[str, Any] | None:
    """Return the stack that a request names, or None for a deleted one."""
    stack = handlers._resolve_stack(handlers._p(parameters, "StackName"))
    return None if stack is None or stack["StackStatus"] == "DELETE_COMPLETE" else stack
