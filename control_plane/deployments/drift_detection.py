"""CloudFormation's drift detection of a stack and of those nested in it: started together, read when complete."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from control_plane.base import aws
from control_plane.base.aws import Place
from control_plane.base.polling import poll_until
from control_plane.deployments import cloudformation
from control_plane.deployments.differences import HIDDEN, Difference, shortened, unread
from control_plane.deployments.drift_ignored import why_ignored
from control_plane.deployments.models import Stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import DescribeStackResourceDriftsInputTypeDef, StackResourceDriftTypeDef

logger = logging.getLogger("cohort.drift")

# Resource types whose values are shown nowhere, whatever AWS reports.
HIDING = frozenset({"AWS::SecretsManager::Secret"})
POLL_SECONDS = 0.5


def begin(stack: Stack, names: Iterable[str]) -> dict[str, str]:
    """Start drift detection of these stacks. Returns the detections' ids by the stacks' names. Raises AwsFailure."""
    with aws.translated_errors():
        client = cloudformation.client(stack.place)
        return {name: client.detect_stack_drift(StackName=name)["StackDriftDetectionId"] for name in names}


def wait(stack: Stack, detections: dict[str, str], seconds: float) -> tuple[dict[str, str], set[str]]:
    """Wait for the detections, `seconds` at most.

    Returns the reasons of those that failed, by the stacks' names, and the stacks that AWS is still at work on. Raises AwsFailure.
    """
    failed: dict[str, str] = {}
    unfinished = set(detections)
    with aws.translated_errors():
        client = cloudformation.client(stack.place)

        def look() -> set[str]:
            for name in sorted(unfinished):
                answer = client.describe_stack_drift_detection_status(StackDriftDetectionId=detections[name])
                if answer["DetectionStatus"] == "DETECTION_IN_PROGRESS":
                    continue
                unfinished.discard(name)
                if answer["DetectionStatus"] == "DETECTION_FAILED":
                    failed[name] = answer.get("DetectionStatusReason", "AWS gives no reason")
            return unfinished

        return failed, poll_until(look, lambda left: not left, seconds=seconds, every=POLL_SECONDS)


def read_differences(stack: Stack, name: str, failure: str = "") -> list[Difference]:
    """Return what differs in the stack of this name, and what could not be read.

    A detection that failed (`failure`) failed for at least one resource; of the others there are results (API reference,
    DescribeStackDriftDetectionStatus). Raises AwsFailure.
    """
    request: DescribeStackResourceDriftsInputTypeDef = {
        "StackName": name,
        "StackResourceDriftStatusFilters": ["MODIFIED", "DELETED", "UNKNOWN"],
    }
    drifts: list[StackResourceDriftTypeDef] = []
    with aws.translated_errors():
        while True:
            page = cloudformation.client(stack.place).describe_stack_resource_drifts(**request)
            drifts += page["StackResourceDrifts"]
            if not (token := page.get("NextToken")):
                break
            request["NextToken"] = token
    differences = [difference for drift in drifts if (difference := _difference(drift, stack.place, failure))]
    if failure and not any(difference.status == "unread" for difference in differences):
        differences.append(unread(stack.name, cloudformation.STACK_TYPE, f"Drift detection failed: {failure}", "stack"))
    return differences


def _difference(drift: "StackResourceDriftTypeDef", place: Place, failure: str) -> Difference | None:
    """Return the difference as a page shows it; None if all that CloudFormation reports is known to be false."""
    logical_id, kind = drift["LogicalResourceId"], drift["ResourceType"]
    if drift["StackResourceDriftStatus"] == "UNKNOWN":
        return unread(logical_id, kind, drift.get("DriftStatusReason") or failure or "AWS gives no reason")
    hidden, physical_id = kind in HIDING, drift.get("PhysicalResourceId", "")
    properties = []
    for changed in drift.get("PropertyDifferences", []):
        if reason := why_ignored(kind, physical_id, place, changed):
            logger.info("%s %s: %s is no drift: %s", kind, physical_id, changed["PropertyPath"], reason)
            continue
        values = (HIDDEN, HIDDEN) if hidden else (shortened(changed["ExpectedValue"]), shortened(changed["ActualValue"]))
        properties.append({"path": changed["PropertyPath"], "expected": values[0], "actual": values[1]})
    if drift.get("PropertyDifferences") and not properties:
        return None
    status: Literal["deleted", "changed"] = "deleted" if drift["StackResourceDriftStatus"] == "DELETED" else "changed"
    return Difference("resource", logical_id, kind, status, properties)
