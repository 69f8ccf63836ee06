"""CloudFormation's handling of a resource that it fails to remove.

While it cleans up after an update, or after an update's roll-back, it tries three times, and then takes the resource out of the
stack all the same and says so (user guide, "Troubleshooting", "Resource removed from stack but not deleted"; the stack's reason as
AWS told it in serverless/serverless issue 9144). What a creation's roll-back could not remove stays in the stack, and the stack's
deletion tries again, once (recorded: cloudformation/api/test_stacks.py::test_blocked_stack_deletion).
"""

from collections.abc import Callable, Coroutine
from typing import Any

from ministack.core.concurrency import run_reentrant
from ministack.services.cloudformation import _stacks, changesets, handlers, stacks

TRIES = 3
# The state while it cleans up after an update, which `_lifecycle` brings about.
CLEANING_UP = "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
ENDS = {CLEANING_UP: "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE"}
LEFT = "Update successful. One or more resources could not be deleted."
STACK = "AWS::CloudFormation::Stack"
# Of a stack that is being updated: what was not removed at the first try, and what its resources were before.
FAILED, BEFORE = "_not_removed", "_properties_before"
Stack = dict[str, Any]
Removal = dict[str, Any]
Operation = Callable[..., Coroutine[Any, Any, None]]
Delete = Callable[..., Any]


def install() -> None:
    """Wrap ministack's operations, its removal of a resource and its events. After the pace, which each try then takes."""
    delete = stacks._delete_resource
    stacks._delete_resource = _with_removal_events(delete)
    _delay_final_status()
    deploy, roll_back = _with_retries(stacks._deploy_stack_async, delete), _with_retries(stacks._roll_back_operation, delete)
    for module in (stacks, handlers, changesets):
        for name, operation in (("_deploy_stack_async", deploy), ("_roll_back_operation", roll_back)):
            if hasattr(module, name):
                setattr(module, name, operation)


def retry_later(root: Stack, owner: Stack, logical_id: str, resource: Removal) -> None:
    """Have the clean-up of `root` retry the removal of a resource of `owner`: the same stack, or one nested in it."""
    root.setdefault(FAILED, []).append({**resource, "LogicalResourceId": logical_id, "Stack": owner["StackName"]})


def _with_removal_events(delete: Delete) -> Delete:
    """Add events to removals during an update's clean-up, and keep a failed one for the next try."""

    def delete_resource(kind: str, physical_id: str, properties: Any, stack_name: str, logical_id: str, *more: Any) -> Any:
        stack = _stacks.get(stack_name)
        if stack is None or stack["StackStatus"] not in ENDS:
            return delete(kind, physical_id, properties, stack_name, logical_id, *more)
        # ministack tells of these itself where it takes an update back.
        tells = stack["StackStatus"] == CLEANING_UP
        event = (stack["StackId"], stack_name, logical_id, kind)
        if tells:
            stacks._add_event(*event, "DELETE_IN_PROGRESS", physical_id=physical_id)
        try:
            answer = delete(kind, physical_id, properties, stack_name, logical_id, *more)
        except Exception:
            retry_later(stack, stack, logical_id, _removal(kind, physical_id, properties))
            raise
        if tells:
            stacks._add_event(*event, "DELETE_COMPLETE", physical_id=physical_id)
        return answer

    return delete_resource


def _removal(kind: str, physical_id: str, properties: Any) -> Removal:
    return {"ResourceType": kind, "PhysicalResourceId": physical_id, "Properties": properties}


def _delay_final_status() -> None:
    """Delay a stack's final status while a removal is left to retry."""
    add = stacks._add_event

    def add_event(
        stack_id: str,
        stack_name: str,
        logical_id: str,
        kind: str,
        status: str,
        reason: str = "",
        physical_id: str = "",
        **more: Any,
    ) -> None:
        stack = _stacks.get(stack_name) or {}
        if kind == STACK and logical_id == stack_name and status in ENDS.values() and stack.get(FAILED):
            stack["StackStatus"] = next(busy for busy, end in ENDS.items() if end == status)
            return
        add(stack_id, stack_name, logical_id, kind, status, reason, physical_id, **more)
        if status == "DELETE_FAILED" and stack.get("StackStatus") == CLEANING_UP and not _is_noted(stack, logical_id):
            # What a type's own handler replaced, it also removes itself.
            retry_later(stack, stack, logical_id, _removal(kind, physical_id, stack.get(BEFORE, {}).get(logical_id, {})))

    stacks._add_event = add_event


def _is_noted(stack: Stack, logical_id: str) -> bool:
    return any(
        (removal["Stack"], removal["LogicalResourceId"]) == (stack["StackName"], logical_id) for removal in stack.get(FAILED, [])
    )


def _with_retries(operation: Operation, delete: Delete) -> Operation:
    async def operated(stack_name: str, stack_id: str, *arguments: Any, **named: Any) -> None:
        stack = _stacks[stack_name]
        stack.pop(FAILED, None)
        if stack.get("StackStatusReason") == LEFT:
            stack["StackStatusReason"] = ""
        stack[BEFORE] = {name: record["Properties"] for name, record in stack.get("_resources", {}).items()}
        await operation(stack_name, stack_id, *arguments, **named)
        stack.pop(BEFORE, None)
        if stack["StackStatus"] == "ROLLBACK_FAILED":
            _keep_failed(stack)
        if failed := stack.pop(FAILED, []):
            await _try_again(stack, failed, delete)

    return operated


def _keep_failed(stack: Stack) -> None:
    """Keep in the stack what its roll-back could not remove.

    ministack forgets these, so that the stack's deletion would leave them behind without a word.
    """
    for logical_id, record in stack.get("_rollback_failed", {}).items():
        stack["_resources"][logical_id] = {
            "LogicalResourceId": logical_id,
            "Attributes": {},
            "Timestamp": stacks.now_iso(),
            **record,
            "ResourceStatus": "DELETE_FAILED",
        }


async def _try_again(stack: Stack, failed: list[Removal], delete: Delete) -> None:
    for _ in range(TRIES - 1):
        failed = [removal for removal in failed if not await _is_removed(removal, delete)]
    stack.pop(FAILED, None)
    for removal in failed:
        _forget(removal)
        _stacks[removal["Stack"]]["StackStatusReason"] = LEFT
    stack["StackStatus"] = ENDS[stack["StackStatus"]]
    name, stack_id = stack["StackName"], stack["StackId"]
    reason = LEFT if any(removal["Stack"] == name for removal in failed) else ""
    stacks._add_event(stack_id, name, name, STACK, stack["StackStatus"], reason, stack_id)


async def _is_removed(removal: Removal, delete: Delete) -> bool:
    """Try to remove the resource, with its events. Returns whether it is gone."""
    kind, physical_id, name = removal["ResourceType"], removal["PhysicalResourceId"], removal["Stack"]
    event = (_stacks[name]["StackId"], name, removal["LogicalResourceId"], kind)
    arguments = (kind, physical_id, removal["Properties"], name, removal["LogicalResourceId"])
    stacks._add_event(*event, "DELETE_IN_PROGRESS", physical_id=physical_id)
    try:
        if stacks._runs_on_worker_thread(kind):
            await run_reentrant(delete, *arguments)
        else:
            delete(*arguments)
    except Exception as error:
        stacks._add_event(*event, "DELETE_FAILED", str(error), physical_id)
        return False
    stacks._add_event(*event, "DELETE_COMPLETE", physical_id=physical_id)
    _forget(removal)
    return True


def _forget(removal: Removal) -> None:
    """Take the resource out of its stack, where ministack has kept it; its replacement there stays."""
    resources = _stacks[removal["Stack"]]["_resources"]
    kept = resources.get(removal["LogicalResourceId"], {})
    if kept.get("PhysicalResourceId") == removal["PhysicalResourceId"] and kept.get("ResourceStatus") == "DELETE_FAILED":
        del resources[removal["LogicalResourceId"]]
