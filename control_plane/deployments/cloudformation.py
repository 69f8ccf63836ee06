"""CloudFormation's own description of a stack, and calls to it beside deploying. It counts, never a deployer's exit code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from control_plane.base import aws
from control_plane.base.aws import Place, translated_errors
from control_plane.deployments.failures import COMPLETE_STATES, FailedResource

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

STACK_TYPE = "AWS::CloudFormation::Stack"
NESTED = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class Observation:
    """A stack as CloudFormation describes it. `status` is empty where there is no such stack."""

    status: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    stack_id: str = ""

    @property
    def generation(self) -> int:
        """The generation of the manifest that AWS holds; 0 if none."""
        return int(self.outputs.get("Generation", "0")) if self.status else 0

    @property
    def is_complete(self) -> bool:
        """True if CloudFormation calls the last change of the stack complete."""
        return self.status in COMPLETE_STATES

    @property
    def is_in_progress(self) -> bool:
        """True while CloudFormation is at work on it, cleaning up included: until then a removed member's key may still work.

        A stack in review does not count: it has a change set, and nothing is at work on it.
        """
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"


@dataclass(frozen=True)
class StackEvent:
    """One event of CloudFormation about one resource of a stack, or about the stack itself."""

    event_id: str
    logical_id: str
    type: str
    status: str
    reason: str


@dataclass(frozen=True)
class StackResource:
    """One resource that a stack holds."""

    logical_id: str
    type: str
    physical_id: str
    status: str = ""


def observe(stack_name: str, place: Place) -> Observation:
    """Describe a stack as CloudFormation holds it. Raises AwsFailure."""
    with translated_errors():
        try:
            described = client(place).describe_stacks(StackName=stack_name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return Observation()
            raise
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    return Observation(status=described["StackStatus"], outputs=outputs, stack_id=described.get("StackId", ""))


def template(stack_name: str, place: Place) -> dict[str, Any] | None:
    """Return the template that CloudFormation has of a stack, an empty one where there is no stack. Raises AwsFailure.

    None if it is not JSON, and so was not written by CDK.
    """
    with translated_errors():
        try:
            body: Any = client(place).get_template(StackName=stack_name)["TemplateBody"]
        except ClientError as error:
            if "does not exist" in str(error):
                return {}
            raise
    return dict(body) if isinstance(body, Mapping) else None


def newest_event(stack_name: str, place: Place) -> str:
    """Return the id of the stack's newest event, as a mark for later events; empty if there is none. Raises AwsFailure."""
    with translated_errors():
        try:
            events = client(place).describe_stack_events(StackName=stack_name)["StackEvents"]
        except ClientError as error:
            if "does not exist" in str(error):
                return ""
            raise
    return events[0]["EventId"] if events else ""


def first_failure(stack_name: str, place: Place, after: str) -> FailedResource | None:
    """Return the first resource that failed after the event `after`: the one that the others were cancelled for.

    Of a nested stack CloudFormation reports only that something in it failed, or, once all is changed but for what it could not
    remove there, nothing: then the nested stack's own events are read. Raises AwsFailure.
    """
    with translated_errors():
        events = _events_after(stack_name, place, after)
        failed = _oldest_failure(events)
        if failed is not None and failed["ResourceType"] != STACK_TYPE:
            return _failed_resource(failed)
        for recent in _nested_events([failed] if failed is not None else events, events, place):
            if inner := _oldest_failure([event for event in recent if event["LogicalResourceId"] != event["StackName"]]):
                return _failed_resource(inner)
        return _failed_resource(failed) if failed is not None else None


def all_events_after(stack_name: str, place: Place, after: str) -> "list[StackEventTypeDef]":
    """Return a stack's events since the event `after`, then those of each stack nested in it since that time, newest first.

    Empty if there is no such stack. Raises ClientError.
    """
    try:
        events = _events_after(stack_name, place, after)
    except ClientError as error:
        if "does not exist" in str(error):
            return []
        raise
    return [*events, *(event for nested in _nested_events(events, events, place) for event in nested)]


def _nested_events(
    within: "list[StackEventTypeDef]", events: "list[StackEventTypeDef]", place: Place
) -> "Iterator[list[StackEventTypeDef]]":
    """Yield the events of each nested stack that `within` names, newest first, since the oldest of its parent's `events`."""
    nested = {event.get("PhysicalResourceId", "") for event in within if event.get("ResourceType") == STACK_TYPE}
    for stack_id in sorted(nested - {"", *(event.get("StackId", "") for event in events)}):
        since = min(event["Timestamp"] for event in events)
        yield [event for event in _events_after(stack_id, place, "") if event["Timestamp"] >= since]


def _events_after(stack_name: str, place: Place, after: str) -> "list[StackEventTypeDef]":
    """Return a stack's events, newest first, back to the event with the id `after`, exclusive."""
    events: list[StackEventTypeDef] = []
    for page in client(place).get_paginator("describe_stack_events").paginate(StackName=stack_name):
        for event in page["StackEvents"]:
            if event["EventId"] == after:
                return events
            events.append(event)
    return events


def _oldest_failure(events: "list[StackEventTypeDef]") -> "StackEventTypeDef | None":
    for event in reversed(events):
        if event.get("ResourceStatus", "").endswith("_FAILED") and "cancelled" not in _reason(event).lower():
            return event
    return None


def _failed_resource(event: "StackEventTypeDef") -> FailedResource:
    return FailedResource(event.get("LogicalResourceId", ""), event.get("ResourceType", ""), _reason(event))


def _reason(event: "StackEventTypeDef") -> str:
    return event.get("ResourceStatusReason", "")


def nested_stacks(stack_name: str, place: Place) -> dict[str, str]:
    """Return the ids of the stacks nested in a stack, by their logical names. Raises AwsFailure."""
    with translated_errors():
        pages = client(place).get_paginator("list_stack_resources").paginate(StackName=stack_name)
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource["ResourceType"] == STACK_TYPE and resource.get("PhysicalResourceId")
        }


def events_after(stack_name: str, place: Place, after: str) -> list[StackEvent]:
    """Return the events since the event `after`, oldest first; empty if there is no such stack. Raises AwsFailure."""
    events: list[StackEvent] = []
    with translated_errors():
        try:
            for page in client(place).get_paginator("describe_stack_events").paginate(StackName=stack_name):
                for event in page["StackEvents"]:
                    if event["EventId"] == after:
                        return events[::-1]
                    events.append(
                        StackEvent(
                            event["EventId"],
                            event.get("LogicalResourceId", ""),
                            event.get("ResourceType", ""),
                            event.get("ResourceStatus", ""),
                            event.get("ResourceStatusReason", ""),
                        )
                    )
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
    return events[::-1]


def resources(stack_name: str, place: Place) -> list[StackResource]:
    """Return the resources of a stack and of those nested in it; empty if there is no such stack. Raises AwsFailure."""
    held: list[StackResource] = []
    with translated_errors():
        try:
            for page in client(place).get_paginator("list_stack_resources").paginate(StackName=stack_name):
                for summary in page["StackResourceSummaries"]:
                    if summary["ResourceStatus"] == "DELETE_COMPLETE":
                        continue
                    held.append(
                        StackResource(
                            summary["LogicalResourceId"],
                            summary["ResourceType"],
                            summary.get("PhysicalResourceId", ""),
                            summary["ResourceStatus"],
                        )
                    )
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
    nested = [resource.physical_id for resource in held if resource.type == NESTED and resource.physical_id]
    return [*held, *(inner for name in nested for inner in resources(name, place))]


def cancel_update(stack_name: str, place: Place) -> bool:
    """Cancel the update under way, and return whether CloudFormation still could. Raises AwsFailure."""
    with translated_errors():
        try:
            client(place).cancel_update_stack(StackName=stack_name)
        except ClientError as error:
            if error.response["Error"].get("Code") == "ValidationError":
                return False
            raise
    return True


@lru_cache(maxsize=8)
def client(place: Place) -> "CloudFormationClient":
    """Return the cached client of a place: making one costs more than a call. It is thread-safe."""
    retries = BotoConfig(
        connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}, max_pool_connections=40
    )
    return aws.client("cloudformation", place, config=retries)
