"""Bucket names are global, and change sets are validated before they can be executed, as on AWS."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.identity import create_identity
from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import ACCOUNT, body_of, client, deploy, ended

OTHER_ACCOUNT = "444455556666"
NO_S3 = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}]}
REFUSED = (
    "The following hook(s)/validation failed: [AWS::EarlyValidation::ResourceExistenceCheck]. "
    "To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information."
)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        client(running, "s3").create_bucket(Bucket="names-ours")
        client(running, "s3", OTHER_ACCOUNT).create_bucket(Bucket="names-theirs")
        yield running


def bucket(name: str) -> dict[str, Any]:
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}


def change_set(aws: EmbeddedAws, stack: str, resources: dict[str, Any], kind: str = "UPDATE") -> dict[str, Any]:
    cloudformation = client(aws, "cloudformation")
    made = cloudformation.create_change_set(
        StackName=stack, ChangeSetName="changes", ChangeSetType=kind, TemplateBody=body_of(resources)
    )
    return cloudformation.describe_change_set(ChangeSetName=made["Id"])  # type: ignore[no-any-return]


def status_of_head(aws: EmbeddedAws, name: str, *key: str) -> int:
    try:
        answer = client(aws, "s3", *key).head_bucket(Bucket=name)
    except ClientError as error:
        answer = error.response
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


def test_a_bucket_of_another_account_is_403_and_its_name_is_taken(aws: EmbeddedAws) -> None:
    """S3 API reference, HeadBucket and CreateBucket ("BucketAlreadyExists"); user guide, "General purpose bucket naming rules"."""
    assert status_of_head(aws, "names-theirs") == 403
    with pytest.raises(ClientError) as refused:
        client(aws, "s3").create_bucket(Bucket="names-theirs")
    assert refused.value.response["Error"]["Code"] == "BucketAlreadyExists"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert "The requested bucket name is not available." in refused.value.response["Error"]["Message"]


def test_without_a_right_a_free_name_is_404_and_a_taken_one_403(aws: EmbeddedAws) -> None:
    """S3 API reference, HeadBucket."""
    key = create_identity(aws.endpoint, ACCOUNT, "us-east-1", "no-s3", NO_S3)
    assert [status_of_head(aws, name, *key) for name in ("names-free", "names-ours", "names-theirs")] == [404, 403, 403]


def test_a_change_set_that_makes_a_bucket_which_is_there_fails_and_its_events_say_why(aws: EmbeddedAws) -> None:
    """CloudFormation user guide, "Validate stack deployments"; API reference, DescribeEvents."""
    deploy(aws, "validated", {"Own": bucket("names-own")})
    cloudformation = client(aws, "cloudformation")
    made = change_set(aws, "validated", {"Own": bucket("names-own"), "Taken": bucket("names-ours"), "Free": bucket("names-free")})
    assert (made["Status"], made["ExecutionStatus"], made["StatusReason"]) == ("FAILED", "UNAVAILABLE", REFUSED)
    asked = {"StackName": "validated", "ChangeSetName": "changes", "Filters": {"FailedEvents": True}}
    (event,) = cloudformation.describe_events(**asked)["OperationEvents"]
    told = {name: event[name] for name in ("EventType", "OperationType", "LogicalResourceId", "ResourceType", "ValidationName")}
    assert told == {
        "EventType": "VALIDATION_ERROR",
        "OperationType": "CREATE_CHANGESET",
        "LogicalResourceId": "Taken",
        "ResourceType": "AWS::S3::Bucket",
        "ValidationName": "NAME_CONFLICT_VALIDATION",
    }
    assert (event["ValidationFailureMode"], event["ValidationStatus"]) == ("FAIL", "FAILED")
    assert event["ValidationStatusReason"] == "Resource of type 'AWS::S3::Bucket' with identifier 'names-ours' already exists."
    with pytest.raises(ClientError, match=r"InvalidChangeSetStatus.* cannot be executed in its current status of \[FAILED\]"):
        cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
    assert ended(aws, "validated")["StackStatus"] == "CREATE_COMPLETE"


def test_a_change_set_that_creates_a_stack_is_validated_too(aws: EmbeddedAws) -> None:
    """CloudFormation user guide, "Validate stack deployments"."""
    made = change_set(aws, "created", {"Taken": bucket("names-ours")}, "CREATE")
    assert (made["Status"], made["StatusReason"]) == ("FAILED", REFUSED)


def test_a_bucket_of_another_account_fails_only_once_it_is_made(aws: EmbeddedAws) -> None:
    """The guide's validation is of "existing resources in the account"; the bucket's own handler meets the others."""
    deploy(aws, "met", {"Own": bucket("names-met")})
    made = change_set(aws, "met", {"Own": bucket("names-met"), "Theirs": bucket("names-theirs")})
    assert made["Status"] == "CREATE_COMPLETE"
    cloudformation = client(aws, "cloudformation")
    cloudformation.execute_change_set(ChangeSetName=made["ChangeSetId"])
    deadline = time.monotonic() + 30
    while (stack := ended(aws, "met"))["StackStatus"] != "UPDATE_ROLLBACK_COMPLETE":
        assert time.monotonic() < deadline, stack
    events = cloudformation.describe_stack_events(StackName="met")["StackEvents"]
    (failed,) = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    assert (failed["LogicalResourceId"], "already exists" in failed["ResourceStatusReason"]) == ("Theirs", True)


def test_events_of_a_change_set_that_is_not_there(aws: EmbeddedAws) -> None:
    """CloudFormation API reference, "ChangeSetNotFound", as recorded for DescribeChangeSet."""
    with pytest.raises(ClientError) as refused:
        client(aws, "cloudformation").describe_events(StackName="validated", ChangeSetName="nowhere")
    assert refused.value.response["Error"]["Code"] == "ChangeSetNotFound"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
