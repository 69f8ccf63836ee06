"""What AWS's refusals become: errors that say what to do."""

from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from moto import mock_aws

from control_plane.deployments import cloudformation
from local_aws.server import free_port

TEMPLATE = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"Generation": {"Value": "7"}}}'


def test_a_stack_is_seen_with_its_generation() -> None:
    with mock_aws():
        boto3.client("cloudformation", region_name="us-east-1").create_stack(StackName="Group-x", TemplateBody=TEMPLATE)
        seen = cloudformation.observe("Group-x", "us-east-1")
    assert (seen.status, seen.generation, seen.is_complete) == ("CREATE_COMPLETE", 7, True)


def test_a_stack_that_is_not_there_is_no_error() -> None:
    with mock_aws():
        seen = cloudformation.observe("Group-x", "us-east-1")
    assert (seen.status, seen.generation, seen.is_complete) == ("", 0, False)


def test_an_aws_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(cloudformation.AwsUnreachable, match="does not answer"):
        cloudformation.observe("Group-x", "us-east-1")


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (ClientError({"Error": {"Code": "InvalidClientTokenId", "Message": "bad"}}, "x"), cloudformation.CredentialsRefused),
        (ClientError({"Error": {"Code": "SignatureDoesNotMatch", "Message": "bad"}}, "x"), cloudformation.CredentialsRefused),
        (ClientError({"Error": {"Code": "ExpiredToken", "Message": "old"}}, "x"), cloudformation.CredentialsRefused),
        (ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "x"), cloudformation.NotAllowed),
        (ClientError({"Error": {"Code": "Throttling", "Message": "slow"}}, "x"), cloudformation.AwsFailure),
        (NoCredentialsError(), cloudformation.CredentialsRefused),
    ],
)
def test_each_refusal_is_named_and_says_what_to_do(error: Exception, becomes: type, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cloudformation, "_client", lambda region: type("Client", (), {"describe_stacks": refuse}))
    with pytest.raises(becomes) as failure:
        cloudformation.observe("Group-x", "us-east-1")
    assert "Nothing was changed on AWS" in failure.value.advice


def test_the_first_failure_is_the_one_that_the_others_were_cancelled_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def event(second: int, status: str, reason: str) -> dict[str, object]:
        at = datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)
        return {
            "Timestamp": at,
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "LogicalResourceId": reason,
            "ResourceType": "T",
        }

    events = [
        event(9, "CREATE_FAILED", "Resource creation cancelled"),
        event(8, "CREATE_FAILED", "second"),
        event(7, "CREATE_FAILED", "first"),
        event(6, "CREATE_COMPLETE", ""),
        event(1, "CREATE_FAILED", "from an earlier run"),
    ]
    pages = type("Pages", (), {"paginate": lambda self, **_: [{"StackEvents": events}]})
    monkeypatch.setattr(cloudformation, "_client", lambda region: type("C", (), {"get_paginator": lambda self, name: pages()})())
    failed = cloudformation.first_failure("Group-x", "us-east-1", datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC))
    assert failed is not None
    assert failed.reason == "first"
