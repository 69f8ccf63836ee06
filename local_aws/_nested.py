"""Nested stacks as in CloudFormation, where ministack differs.

One that could not be made leaves nothing behind; a resource that could not be removed has an event; a stack that cannot be removed
whole stays, with what is left of it; and nested resources are made in the event loop, between requests, like all others: ministack
makes them in a thread beside it.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ministack.services.cloudformation import _exports, _stacks, engine, provisioners, stacks

from local_aws import _cleanup

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]

TYPE = "AWS::CloudFormation::Stack"
LEFT = "The following resource(s) failed to delete: [{}]."


def install() -> None:
    """Wrap the type's handlers. Before the pace is installed, which asks what blocks."""
    blocks = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda resource_type: resource_type != TYPE and blocks(resource_type)
    handler = provisioners._RESOURCE_HANDLERS[TYPE]
    handler["delete"] = delete_stack
    handler |= {
        "create": _removing_failed(handler["create"], handler["delete"]),
        "update": _with_failed_removals(handler["update"]),
    }


def delete_stack(physical_id: str, properties: Properties) -> None:
    """Remove its resources, and then the stack; ministack forgets those it cannot remove. Raises ValueError in AWS's words."""
    name = provisioners._nested_stack_lookup_name(physical_id)
    stack = _stacks.get(name)
    if stack is None or stack["StackStatus"] == "DELETE_COMPLETE":
        return
    event_stack, held = (stack["StackId"], name), stack["_resources"]
    stack["StackStatus"] = "DELETE_IN_PROGRESS"
    stacks._add_event(*event_stack, name, TYPE, "DELETE_IN_PROGRESS", physical_id=stack["StackId"])
    failed = [logical_id for logical_id in _last_first(stack) if not _removed(event_stack, logical_id, held)]
    if failed:
        stack |= {"StackStatus": "DELETE_FAILED", "StackStatusReason": LEFT.format(", ".join(sorted(failed)))}
        stacks._add_event(*event_stack, name, TYPE, "DELETE_FAILED", stack["StackStatusReason"], stack["StackId"])
        raise ValueError(f"Embedded stack {stack['StackId']} was not successfully deleted: {stack['StackStatusReason']}")
    for output in stack.get("Outputs", []):
        _exports.pop(output.get("ExportName", ""), None)
    stack["StackStatus"] = "DELETE_COMPLETE"
    stacks._add_event(*event_stack, name, TYPE, "DELETE_COMPLETE", physical_id=stack["StackId"])


def _last_first(stack: dict[str, Any]) -> list[str]:
    """Return the stack's resources, dependents before what they depend on."""
    held = stack["_resources"]
    ordered = engine._topological_sort(stack["_template"].get("Resources", {}), stack.get("_conditions", {}))
    # What the template does not name any more could not be removed before.
    return [name for name in reversed([*ordered, *(name for name in held if name not in ordered)]) if name in held]


def _removed(event_stack: tuple[str, str], logical_id: str, held: dict[str, Any]) -> bool:
    record = held[logical_id]
    kind, physical_id = record["ResourceType"], record["PhysicalResourceId"]
    definition = (_stacks[event_stack[1]]["_template"].get("Resources", {})).get(logical_id, {})
    if definition.get("DeletionPolicy") in provisioners._RETAINING_POLICIES:
        stacks._add_event(*event_stack, logical_id, kind, "DELETE_SKIPPED", physical_id=physical_id)
        del held[logical_id]
        return True
    try:
        provisioners._delete_resource(kind, physical_id, record["Properties"], event_stack[1], logical_id)
    except Exception as error:
        # Whatever keeps one from going is its event's reason, as in a stack of its own.
        stacks._add_event(*event_stack, logical_id, kind, "DELETE_FAILED", str(error), physical_id)
        record |= {"ResourceStatus": "DELETE_FAILED", "ResourceStatusReason": str(error)}
        return False
    stacks._add_event(*event_stack, logical_id, kind, "DELETE_COMPLETE", physical_id=physical_id)
    del held[logical_id]
    return True


def _removing_failed(create: Callable[..., Created], delete: Callable[..., None]) -> Callable[..., Created]:
    """Remove a nested stack that failed, since the parent rolls back only what it knows of."""

    def create_stack(logical_id: str, properties: Properties, parent: str) -> Created:
        before = set(_stacks.keys())
        try:
            return create(logical_id, properties, parent)
        except Exception:
            for name in set(_stacks.keys()) - before:
                # What cannot be taken back is told by the nested stack's own events; the reason is why it was not made.
                with suppress(ValueError):
                    delete(name, properties)
            raise

    return create_stack


def _with_failed_removals(update: Callable[..., Created]) -> Callable[..., Created]:
    """Complete an update even where a removal failed.

    The nested stack's events say so, and the parent tries again during its own clean-up.
    """

    def update_stack(physical_id: str, old: Properties, new: Properties, parent: str) -> Created:
        updated = update(physical_id, old, new, parent)
        child = _stacks[provisioners._nested_stack_lookup_name(physical_id)]
        for logical_id, record in child["_resources"].items():
            if record["ResourceStatus"] == "DELETE_FAILED":
                stacks._add_event(
                    child["StackId"],
                    child["StackName"],
                    logical_id,
                    record["ResourceType"],
                    "DELETE_FAILED",
                    record.get("ResourceStatusReason", ""),
                    record["PhysicalResourceId"],
                )
                _cleanup.retry_later(_stacks[parent], child, logical_id, record)
        return updated

    return update_stack
