"""Nested stacks as CloudFormation has them where ministack does otherwise.

One that could not be made leaves nothing behind; what could not be removed from one is told by an event; and their resources are
made in the event loop, between requests, like all others: ministack makes them in a thread beside it.
"""

from collections.abc import Callable
from typing import Any

from ministack.services.cloudformation import _stacks, provisioners, stacks

from local_aws import _cleanup

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]

TYPE = "AWS::CloudFormation::Stack"


def install() -> None:
    """Wrap the type's handlers. Before the pace is installed, which asks what blocks."""
    blocks = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda resource_type: resource_type != TYPE and blocks(resource_type)
    handler = provisioners._RESOURCE_HANDLERS[TYPE]
    handler |= {"create": _clean(handler["create"], handler["delete"]), "update": _telling(handler["update"])}


def _clean(create: Callable[..., Created], delete: Callable[..., None]) -> Callable[..., Created]:
    """The parent takes back what it knows of, and does not know of a nested stack that failed."""

    def create_stack(logical_id: str, properties: Properties, parent: str) -> Created:
        before = set(_stacks.keys())
        try:
            return create(logical_id, properties, parent)
        except Exception:
            for name in set(_stacks.keys()) - before:
                delete(name, properties)
            raise

    return create_stack


def _telling(update: Callable[..., Created]) -> Callable[..., Created]:
    """An update is complete even where something could not be removed; the nested stack's events say so, and the parent tries
    again when it cleans up itself."""

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
                _cleanup.note(_stacks[parent], child, logical_id, record)
        return updated

    return update_stack
