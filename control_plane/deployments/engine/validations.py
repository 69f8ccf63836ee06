"""Validation errors of CloudFormation, which refuse a change before anything is made: read from the operation's events."""

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


def refused_in_operation(stack_name: str, place: Place, failed: FailedResource) -> list[FailedResource]:
    """Return the resources that the validation of a stack's update refused, if `failed` only points to its events.

    CloudFormation user guide, "Validate stack deployments": the stack's event points to DescribeEvents.
    """
    if failed.resource_type != STACK_TYPE or "DescribeEvents" not in failed.reason:
        return []
    return _failed_validations(place, {"StackName": stack_name, "Filters": FAILED})


def refused_in_change_set(stack_name: str, place: Place, failure: DeployerFailure) -> list[FailedResource]:
    """Return the resources that the validation of CDK's change set refused, if the deployer failed over that."""
    if "change set" not in failure.output.lower():
        return []
    return _failed_validations(place, {"StackName": stack_name, "ChangeSetName": CHANGE_SET, "Filters": FAILED})


def _failed_validations(place: Place, query: "DescribeEventsInputPaginateTypeDef") -> list[FailedResource]:
    """Return the resources of the newest operation that failed its validation; none if AWS does not answer."""
    try:
        with translated_errors():
            pages = client(place).get_paginator("describe_events").paginate(**query)
            events = [event for page in pages for event in page["OperationEvents"] if event.get("EventType") == VALIDATION_ERROR]
    except AwsFailure as error:
        if isinstance(error.__cause__, ClientError) and error.__cause__.response["Error"].get("Code") == "ChangeSetNotFound":
            return []
        logger.warning("the events of a refused change of %s could not be read: %s", query.get("StackName"), error)
        return []
    return _of_newest(events)


def _of_newest(events: "Iterable[OperationEventTypeDef]") -> list[FailedResource]:
    ordered = sorted((event for event in events if "Timestamp" in event), key=lambda event: event["Timestamp"])
    newest = ordered[-1].get("OperationId") if ordered else None
    return [
        FailedResource(event.get("LogicalResourceId", ""), event.get("ResourceType", ""), event.get("ValidationStatusReason", ""))
        for event in ordered
        if event.get("OperationId") == newest and event.get("ValidationFailureMode", "FAIL") == "FAIL"
    ]
