"""Look-up of the stack that holds a resource, by the resource's physical id; ministack looks for a stack's name alone."""

from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import handlers

Answer = tuple[int, Any, Any]


def install() -> None:
    """Let DescribeStackResources take `PhysicalResourceId` (CloudFormation API reference, DescribeStackResources)."""
    by_name = handlers._ACTION_HANDLERS["DescribeStackResources"]

    def describe_stack_resources(parameters: dict[str, Any]) -> Answer:
        answer: Answer
        if not (wanted := handlers._p(parameters, "PhysicalResourceId")) or handlers._p(parameters, "StackName"):
            answer = by_name(parameters)
            return answer
        for stack in cloudformation._stacks.values():
            if stack["StackStatus"] != "DELETE_COMPLETE" and _holds(stack, wanted):
                answer = by_name({**parameters, "StackName": [stack["StackId"]]})
                return answer
        answer = handlers._error("ValidationError", f"Stack for {wanted} does not exist")
        return answer

    handlers._ACTION_HANDLERS["DescribeStackResources"] = describe_stack_resources


def _holds(stack: dict[str, Any], physical_id: str) -> bool:
    return any(record.get("PhysicalResourceId") == physical_id for record in stack.get("_resources", {}).values())
