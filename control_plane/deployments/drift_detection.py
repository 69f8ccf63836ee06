"""CloudFormation's own drift detection of a stack and of those nested in it: begun together, and read as far as it came."""

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

# Whose values are shown nowhere, whatever AWS tells.
HIDING = frozenset({"AWS::SecretsManager::Secret"})
POLL_SECONDS = 0.5


def begin(stack: Stack, names: Iterable[str]) -> dict[str, str]:
    """Have CloudFormation look at these stacks. Returns the detections' ids by the stacks' names. Raises AwsFailure."""
    with aws.explained():
        client = cloudformation.client(stack.place)
        return {name: client.detect_stack_drift(StackName=name)["StackDriftDetectionId"] for name in names}


def wait(stack: Stack, detections: dict[str, str], seconds: float) -> tuple[dict[str, str], set[str]]:
    """Wait so long at most. Returns why each failed that did, by its stack, and the stacks that AWS still looks at."""
    failed: dict[str, str] = {}
    open_ones = set(detections)
    with aws.explained():
        client = cloudformation.client(stack.place)

        def look() -> set[str]:
            for name in sorted(open_ones):
                answer = client.describe_stack_drift_detection_status(StackDriftDetectionId=detections[name])
                if answer["DetectionStatus"] == "DETECTION_IN_PROGRESS":
                    continue
                open_ones.discard(name)
                if answer["DetectionStatus"] == "DETECTION_FAILED":
                    failed[name] = answer.get("DetectionStatusReason", "AWS gives no reason")
            return open_ones

        return failed, poll_until(look, lambda left: not left, seconds=seconds, every=POLL_SECONDS)


def read(stack: Stack, name: str, failure: str = "") -> list[Difference]:
    """What differs in the stack of this name, and what could not be read.

    A detection that failed (`failure`) failed for at least one resource; of the others there are results (API reference,
    DescribeStackDriftDetectionStatus). Raises AwsFailure.
    """
    request: DescribeStackResourceDriftsInputTypeDef = {
        "StackName": name,
        "StackResourceDriftStatusFilters": ["MODIFIED", "DELETED", "UNKNOWN"],
    }
    found: list[StackResourceDriftTypeDef] = []
    with aws.explained():
        while True:
            page = cloudformation.client(stack.place).describe_stack_resource_drifts(**request)
            found += page["StackResourceDrifts"]
            if not (token := page.get("NextToken")):
                break
            request["NextToken"] = token
    differences = [difference for drift in found if (difference := _difference(drift, stack.place, failure))]
    if failure and not any(one.status == "unread" for one in differences):
        differences.append(unread(stack.name, cloudformation.STACK_TYPE, f"Drift detection failed: {failure}", "stack"))
    return differences


def _difference(drift: "StackResourceDriftTypeDef", place: Place, failure: str) -> Difference | None:
    """As a page shows it; None where all that CloudFormation reports is known to be false."""
    logical_id, kind = drift["LogicalResourceId"], drift["ResourceType"]
    if drift["StackResourceDriftStatus"] == "UNKNOWN":
        return unread(logical_id, kind, drift.get("DriftStatusReason") or failure or "AWS gives no reason")
    hidden, physical_id = kind in HIDING, drift.get("PhysicalResourceId", "")
    properties = []
    for one in drift.get("PropertyDifferences", []):
        if reason := why_ignored(kind, physical_id, place, one):
            logger.info("%s %s: %s is no drift: %s", kind, physical_id, one["PropertyPath"], reason)
            continue
        told = (HIDDEN, HIDDEN) if hidden else (shortened(one["ExpectedValue"]), shortened(one["ActualValue"]))
        properties.append({"path": one["PropertyPath"], "expected": told[0], "actual": told[1]})
    if drift.get("PropertyDifferences") and not properties:
        return None
    status: Literal["deleted", "changed"] = "deleted" if drift["StackResourceDriftStatus"] == "DELETED" else "changed"
    return Difference("resource", logical_id, kind, status, properties)
