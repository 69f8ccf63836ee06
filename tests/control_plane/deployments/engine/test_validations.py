"""What CloudFormation's validation found is read into the failure, of whatever shape it comes in."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from control_plane.base.aws import Place
from control_plane.deployments.deployers.port import DeployerFailure
from control_plane.deployments.engine import validations
from control_plane.deployments.failures import FailedResource, problem_from_refused
from control_plane.deployments.models import Failure

PLACE = Place("111122223333", "us-east-1")

TAKEN = "Resource of type 'AWS::S3::Bucket' with identifier 'cohort-taken' already exists."
POINTS = (
    "Validation failed with 1 error(s). Call DescribeEvents to retrieve the full list of issues with resource and property details"
)
OF_CHANGE_SET = DeployerFailure(
    "CDK could not deploy it", "", output="Early validation failed for change set cdk-deploy-change-set:"
)
OF_STACK = FailedResource("Cohort-Storage", "AWS::CloudFormation::Stack", POINTS)


def event(minute: int, operation: str, **fields: str) -> dict[str, Any]:
    return {
        "EventType": "VALIDATION_ERROR",
        "OperationId": operation,
        "Timestamp": datetime(2026, 1, 1, 12, minute, tzinfo=UTC),
        "LogicalResourceId": "Bucket1",
        "ResourceType": "AWS::S3::Bucket",
        "ValidationFailureMode": "FAIL",
        "ValidationStatusReason": TAKEN,
        **fields,
    }


EVENTS = [
    event(1, "older", LogicalResourceId="Older"),
    event(2, "newer"),
    event(3, "newer", LogicalResourceId="Warned", ValidationFailureMode="WARN"),
    event(3, "newer", LogicalResourceId="Cohort-Storage", EventType="PROVISIONING_ERROR"),
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """CloudFormation tells EVENTS, in two pages. What it was asked."""
    asked: list[dict[str, Any]] = []

    def paginate(**request: Any) -> list[dict[str, Any]]:
        asked.append(request)
        return [{"OperationEvents": EVENTS[:2]}, {"OperationEvents": EVENTS[2:]}]

    pages = SimpleNamespace(paginate=paginate)
    monkeypatch.setattr(validations, "client", lambda region: SimpleNamespace(get_paginator=lambda name: pages))
    return asked


def test_a_refused_change_set_names_each_resource_of_its_newest_validation(asked: list[dict[str, Any]]) -> None:
    found = validations.refused_in_change_set("Cohort-Storage", PLACE, OF_CHANGE_SET)
    assert found == [FailedResource("Bucket1", "AWS::S3::Bucket", TAKEN)]
    assert [(stack["StackName"], stack["ChangeSetName"]) for stack in asked] == [("Cohort-Storage", "cdk-deploy-change-set")]


def test_a_stack_s_event_that_only_points_to_the_others_is_followed(asked: list[dict[str, Any]]) -> None:
    assert validations.refused_in_operation("Cohort-Storage", PLACE, OF_STACK) == [
        FailedResource("Bucket1", "AWS::S3::Bucket", TAKEN)
    ]
    assert "ChangeSetName" not in asked[0]


def test_another_failure_asks_nothing(asked: list[dict[str, Any]]) -> None:
    assert validations.refused_in_change_set("Cohort-Storage", PLACE, DeployerFailure("x", "", output="socket hang up")) == []
    assert validations.refused_in_operation("Cohort-Storage", PLACE, FailedResource("Bucket1", "AWS::S3::Bucket", POINTS)) == []
    assert asked == []


@pytest.mark.parametrize("code", ["ChangeSetNotFound", "AccessDenied"])
def test_without_an_answer_the_failure_keeps_its_own_words(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeEvents")

    pages = SimpleNamespace(paginate=refuse)
    monkeypatch.setattr(validations, "client", lambda region: SimpleNamespace(get_paginator=lambda name: pages))
    assert validations.refused_in_change_set("Cohort-Storage", PLACE, OF_CHANGE_SET) == []


def test_the_message_names_the_bucket_and_says_that_nothing_was_changed() -> None:
    problem = problem_from_refused([FailedResource("Bucket1", "AWS::S3::Bucket", TAKEN)])
    assert "cohort-taken" in problem.error
    assert problem.advice.startswith("Nothing was changed on AWS by this try. All AWS accounts share the names of buckets")
    assert problem.kind == Failure.PERMANENT
    assert [resource.logical_id for resource in problem.resources] == ["Bucket1"]
