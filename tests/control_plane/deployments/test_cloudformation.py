"""What AWS's refusals become: errors that say what to do."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError
from botocore.stub import Stubber
from moto import mock_aws

from control_plane.base import aws
from control_plane.base.aws import Place
from control_plane.deployments import cloudformation
from control_plane.deployments.failures import FailedResource, problem_from_aws
from control_plane.deployments.models import Failure
from local_aws.server import free_port

PLACE = Place("111122223333", "us-east-1")

UNAVAILABLE: Any = {"HTTPStatusCode": 503}
PASSES = (aws.AwsBusy, aws.AwsUnreachable)
TEMPLATE = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"Generation": {"Value": "7"}}}'


@pytest.fixture(autouse=True)
def _no_client_is_kept():
    """A client that moto, or another endpoint, was made for is of no use to the next test."""
    kept = cloudformation.client
    kept.cache_clear()
    yield
    kept.cache_clear()


def test_a_stack_is_seen_with_its_generation() -> None:
    with mock_aws():
        boto3.client("cloudformation", region_name="us-east-1").create_stack(StackName="Group-x", TemplateBody=TEMPLATE)
        seen = cloudformation.observe("Group-x", PLACE)
    assert (seen.status, seen.generation, seen.is_complete) == ("CREATE_COMPLETE", 7, True)


def test_a_stack_that_is_not_there_is_no_error() -> None:
    with mock_aws():
        seen = cloudformation.observe("Group-x", PLACE)
    assert (seen.status, seen.generation, seen.is_complete) == ("", 0, False)


def test_an_aws_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(aws.AwsUnreachable, match="does not answer"):
        cloudformation.observe("Group-x", PLACE)


@pytest.mark.parametrize(
    ("error", "becomes"),
    [
        (ClientError({"Error": {"Code": "InvalidClientTokenId", "Message": "bad"}}, "x"), aws.CredentialsRefused),
        (ClientError({"Error": {"Code": "SignatureDoesNotMatch", "Message": "bad"}}, "x"), aws.CredentialsRefused),
        (ClientError({"Error": {"Code": "ExpiredToken", "Message": "old"}}, "x"), aws.CredentialsRefused),
        (ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "x"), aws.NotAllowed),
        (ClientError({"Error": {"Code": "Throttling", "Message": "slow"}}, "x"), aws.AwsBusy),
        (ClientError({"Error": {"Code": "X"}, "ResponseMetadata": UNAVAILABLE}, "x"), aws.AwsBusy),
        (ClientError({"Error": {"Code": "ValidationError", "Message": "no"}}, "x"), aws.AwsFailure),
        (ConnectTimeoutError(endpoint_url="x"), aws.AwsUnreachable),
        (NoCredentialsError(), aws.CredentialsRefused),
    ],
)
def test_each_refusal_is_named_and_says_what_to_do(error: Exception, becomes: type, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cloudformation, "client", lambda region: SimpleNamespace(describe_stacks=refuse))
    with pytest.raises(aws.AwsFailure) as failure:
        cloudformation.observe("Group-x", PLACE)
    assert type(failure.value) is becomes
    assert problem_from_aws(failure.value).kind == (Failure.RETRYABLE if becomes in PASSES else Failure.PERMANENT)
    assert "Nothing was changed on AWS" in failure.value.advice


@pytest.fixture
def with_events(monkeypatch):
    """Have CloudFormation tell these events, newest first: (id, status, reason)."""

    def install(*events):
        told = [
            {
                "EventId": number,
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
                "LogicalResourceId": f"Resource{number}",
                "ResourceType": "AWS::IAM::User",
            }
            for number, status, reason in events
        ]
        pages = SimpleNamespace(paginate=lambda **_: [{"StackEvents": told[:2]}, {"StackEvents": told[2:]}])
        fake = SimpleNamespace(
            get_paginator=lambda name: pages,
            describe_stack_events=lambda **_: {"StackEvents": told},
            cancel_update_stack=lambda **_: None,
        )
        monkeypatch.setattr(cloudformation, "client", lambda region: fake)
        return fake

    return install


EVENTS = (
    ("6", "CREATE_FAILED", "Resource creation cancelled"),
    ("5", "CREATE_FAILED", "second"),
    ("4", "CREATE_FAILED", "first"),
    ("3", "CREATE_COMPLETE", ""),
    ("2", "UPDATE_COMPLETE", ""),
    ("1", "CREATE_FAILED", "from an earlier run"),
)


def test_the_first_failure_is_the_one_that_the_others_were_cancelled_for(with_events):
    with_events(*EVENTS)
    failed = cloudformation.first_failure("Group-x", PLACE, after="2")
    assert failed == FailedResource("Resource4", "AWS::IAM::User", "first")


def test_failures_of_earlier_runs_are_not_this_one_s(with_events):
    with_events(*EVENTS)
    assert cloudformation.newest_event("Group-x", PLACE) == "6"
    assert cloudformation.first_failure("Group-x", PLACE, after="6") is None
    earlier = cloudformation.first_failure("Group-x", PLACE, after="")
    assert earlier is not None
    assert earlier.reason == "from an earlier run"


def test_a_stack_without_events_or_without_anything_has_no_newest_event(with_events):
    with_events()
    assert cloudformation.newest_event("Group-x", PLACE) == ""
    with mock_aws():
        assert cloudformation.newest_event("Group-nowhere", PLACE) == ""


def test_an_update_that_aws_cannot_take_back_any_more_is_no_error(with_events):
    fake = with_events()
    assert cloudformation.cancel_update("Group-x", PLACE)

    def refuse(code):
        def ask(**_):
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "CancelUpdateStack")

        return ask

    fake.cancel_update_stack = refuse("ValidationError")
    assert not cloudformation.cancel_update("Group-x", PLACE)
    fake.cancel_update_stack = refuse("AccessDenied")
    with pytest.raises(aws.NotAllowed):
        cloudformation.cancel_update("Group-x", PLACE)


@pytest.mark.parametrize(
    ("status", "complete", "at_work"),
    [
        ("", False, False),
        ("CREATE_IN_PROGRESS", False, True),
        ("CREATE_COMPLETE", True, False),
        # The change is made, but what it removes may still be there.
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", False, True),
        ("UPDATE_ROLLBACK_IN_PROGRESS", False, True),
        ("UPDATE_ROLLBACK_COMPLETE", False, False),
        # A change set that nobody executes: waiting for it would never end.
        ("REVIEW_IN_PROGRESS", False, False),
    ],
)
def test_each_state_is_done_or_under_way_or_neither(status, complete, at_work):
    seen = cloudformation.Observation(status)
    assert (seen.is_complete, seen.is_in_progress) == (complete, at_work)


NESTED = "arn:aws:cloudformation:us-east-1:111122223333:stack/Group-x-KeyHolders1-ABC/1"
ITSELF = "AWS::CloudFormation::Stack"


@pytest.fixture
def with_nested(monkeypatch):
    """A stack and one nested in it, each with its events, newest first: (second, type, name, status, reason, physical id)."""

    def install(own, inside):
        def told(stack, name, events):
            fields = (
                "Timestamp",
                "ResourceType",
                "LogicalResourceId",
                "ResourceStatus",
                "ResourceStatusReason",
                "PhysicalResourceId",
            )
            common = {"StackId": stack, "StackName": name}
            return [
                common | {"EventId": f"{stack}{number}"} | dict(zip(fields, one, strict=True)) for number, one in enumerate(events)
            ]

        pages = {"Group-x": told("own", "Group-x", own), NESTED: told(NESTED, "Group-x-KeyHolders1-ABC", inside)}
        events = SimpleNamespace(paginate=lambda **asked: [{"StackEvents": pages[asked["StackName"]]}])
        monkeypatch.setattr(cloudformation, "client", lambda region: SimpleNamespace(get_paginator=lambda name: events))

    return install


INSIDE = (
    (9, ITSELF, "Group-x-KeyHolders1-ABC", "UPDATE_ROLLBACK_COMPLETE", "", NESTED),
    (7, "AWS::IAM::User", "Grace", "CREATE_FAILED", "Resource creation cancelled", ""),
    (6, "AWS::IAM::User", "Ada", "CREATE_FAILED", "User with name x already exists.", ""),
    (1, "AWS::IAM::User", "Ada", "CREATE_FAILED", "of an earlier update", ""),
)


def test_what_failed_in_a_nested_stack_is_told_by_its_own_name_and_reason(with_nested):
    own = (
        (8, ITSELF, "KeyHolders1", "UPDATE_FAILED", "Embedded stack was not successfully updated", NESTED),
        (5, ITSELF, "KeyHolders1", "UPDATE_IN_PROGRESS", "", NESTED),
        (4, ITSELF, "Group-x", "UPDATE_IN_PROGRESS", "", "own"),
    )
    with_nested(own, INSIDE)
    failed = cloudformation.first_failure("Group-x", PLACE, after="")
    assert failed == FailedResource("Ada", "AWS::IAM::User", "User with name x already exists.")


def test_what_could_not_be_removed_from_a_nested_stack_is_found_though_all_is_complete(with_nested):
    own = (
        (8, ITSELF, "Group-x", "UPDATE_COMPLETE", "", "own"),
        (7, ITSELF, "KeyHolders1", "UPDATE_COMPLETE", "", NESTED),
        (4, ITSELF, "Group-x", "UPDATE_IN_PROGRESS", "", "own"),
    )
    with_nested(own, ((7, "AWS::IAM::User", "Ada", "DELETE_FAILED", "It is in use.", "ada"), *INSIDE[3:]))
    assert cloudformation.first_failure("Group-x", PLACE, after="") == FailedResource("Ada", "AWS::IAM::User", "It is in use.")


def test_a_nested_stack_that_did_nothing_wrong_this_time_is_not_blamed(with_nested):
    own = ((8, ITSELF, "KeyHolders1", "UPDATE_COMPLETE", "", NESTED), (4, ITSELF, "Group-x", "UPDATE_IN_PROGRESS", "", "own"))
    with_nested(own, INSIDE[3:])
    assert cloudformation.first_failure("Group-x", PLACE, after="") is None


@pytest.mark.parametrize(
    ("service", "operation", "named"),
    [
        ("iam", "list_users", "IAM"),
        ("s3", "list_buckets", "S3"),
        ("cloudformation", "list_stacks", "CloudFormation"),
        ("sts", "get_caller_identity", "STS"),
    ],
)
@pytest.mark.parametrize(("status", "says"), [(503, "AWS is busy: {} answered Odd: told."), (400, "{} answered Odd: told")])
def test_a_refusal_says_which_service_answered(service: Any, operation: str, named: str, status: int, says: str) -> None:
    client = boto3.client(service, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_client_error(operation, "Odd", "told", http_status_code=status)
        assert told_of(getattr(client, operation)) == says.format(named)


def test_a_refusal_of_a_list_s_page_says_which_service_answered() -> None:
    client = boto3.client("iam", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_client_error("list_users", "Odd", "told")
        assert told_of(lambda: list(client.get_paginator("list_users").paginate())) == "IAM answered Odd: told"


def told_of(ask: Callable[[], object]) -> str:
    """What somebody reads where AWS refuses this."""
    with pytest.raises(aws.AwsFailure) as caught, aws.translated_errors():
        ask()
    return str(caught.value)
