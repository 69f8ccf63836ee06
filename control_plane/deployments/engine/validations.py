"""The reasons behind a change that CloudFormation's validation refused before it made anything: its events, read for people."""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from control_plane.base.aws import AwsFailure, Place, translated_errors
from control_plane.deployments.cloudformation import STACK_TYPE, client
from control_plane.deployments.deployers.port import DeployerFailure
from control_plane.deployments.failures import FailedResource

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import DescribeEventsInputPaginateTypeDef, EventFilterTypeDef, OperationEventTypeDef

logger = logging.getLogger("cohort.engine")

# CDK's own, deleted and made anew by each deployment (toolkit-lib, `DEFAULT_DEPLOY_CHANGE_SET_NAME`).
CHANGE_SET = "cdk-deploy-change-set"
VALIDATION_ERROR = "VALIDATION_ERROR"
FAILED: "EventFilterTypeDef" = {"FailedEvents": True}


def of_operation(stack_name: str, place: Place, failed: FailedResource) -> list[FailedResource]:
    """What the validation of a stack's update found, where `failed` says no more than that it found something.

    CloudFormation user guide, "Validate stack deployments": the stack's event points to DescribeEvents.
    """
    if failed.resource_type != STACK_TYPE or "DescribeEvents" not in failed.reason:
        return []
    return _found(place, {"StackName": stack_name, "Filters": FAILED})


def of_change_set(stack_name: str, place: Place, failure: DeployerFailure) -> list[FailedResource]:
    """What the validation of CDK's change set found, where the deployer failed over that."""
    if "change set" not in failure.told.lower():
        return []
    return _found(place, {"StackName": stack_name, "ChangeSetName": CHANGE_SET, "Filters": FAILED})


def _found(place: Place, of: "DescribeEventsInputPaginateTypeDef") -> list[FailedResource]:
    """The resources of the newest operation that failed its validation. Without an answer, none: the failure has its own words."""
    try:
        with translated_errors():
            pages = client(place).get_paginator("describe_events").paginate(**of)
            events = [event for page in pages for event in page["OperationEvents"] if event.get("EventType") == VALIDATION_ERROR]
    except AwsFailure as error:
        if isinstance(error.__cause__, ClientError) and error.__cause__.response["Error"].get("Code") == "ChangeSetNotFound":
            return []
        logger.warning("the events of a refused change of %s could not be read: %s", of.get("StackName"), error)
        return []
    return _of_newest(events)


def _of_newest(events: "Iterable[OperationEventTypeDef]") -> list[FailedResource]:
    ordered = sorted((one for one in events if "Timestamp" in one), key=lambda one: one["Timestamp"])
    newest = ordered[-1].get("OperationId") if ordered else None
    return [
        FailedResource(one.get("LogicalResourceId", ""), one.get("ResourceType", ""), one.get("ValidationStatusReason", ""))
        for one in ordered
        if one.get("OperationId") == newest and one.get("ValidationFailureMode", "FAIL") == "FAIL"
    ]
