"""IAM's names are unique in the account (IAM user guide, "IAM and STS quotas": IAM name requirements)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import S3_ONLY, client, deploy

ANYBODY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


@pytest.mark.parametrize(
    ("action", "request_of", "message"),
    [
        ("create_user", lambda name: {"UserName": name}, "User with name {} already exists."),
        ("create_group", lambda name: {"GroupName": name}, "Group with name {} already exists."),
        (
            "create_role",
            lambda name: {"RoleName": name, "AssumeRolePolicyDocument": json.dumps(ANYBODY)},
            "Role with name {} already exists.",
        ),
        (
            "create_policy",
            lambda name: {"PolicyName": name, "PolicyDocument": json.dumps(S3_ONLY)},
            "A policy called {} already exists. Duplicate names are not allowed.",
        ),
    ],
)
def test_names_of_iam_are_unique_whatever_their_path_and_case(aws: EmbeddedAws, action: str, request_of: Any, message: str) -> None:
    create = getattr(client(aws, "iam"), action)
    name = action.replace("_", "-")
    create(**request_of(name), Path="/one/")
    for again in (name, name.upper()):
        with pytest.raises(ClientError) as refused:
            create(**request_of(again), Path="/another/")
        assert refused.value.response["Error"]["Code"] == "EntityAlreadyExists"
        assert refused.value.response["Error"]["Message"] == message.format(again)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("Role", {"RoleName": "taken", "AssumeRolePolicyDocument": ANYBODY}),
        ("ManagedPolicy", {"ManagedPolicyName": "taken", "PolicyDocument": S3_ONLY}),
        ("User", {"UserName": "taken"}),
        ("Group", {"GroupName": "taken"}),
    ],
)
def test_a_stack_cannot_take_a_name_that_lies_under_another_path(aws: EmbeddedAws, kind: str, properties: dict[str, Any]) -> None:
    first = {"One": {"Type": f"AWS::IAM::{kind}", "Properties": {**properties, "Path": "/site/"}}}
    assert deploy(aws, f"first-{kind}", first)["StackStatus"] == "CREATE_COMPLETE"
    second = {"Other": {"Type": f"AWS::IAM::{kind}", "Properties": {**properties, "Path": "/group/"}}}
    assert deploy(aws, f"second-{kind}", second)["StackStatus"] == "ROLLBACK_COMPLETE"
    events = client(aws, "cloudformation").describe_stack_events(StackName=f"second-{kind}")["StackEvents"]
    (reason,) = [event["ResourceStatusReason"] for event in events if event["ResourceStatus"] == "CREATE_FAILED"]
    assert "already exists" in reason
    # What has the name is left as it was.
    resource = client(aws, "cloudformation").describe_stack_resource(StackName=f"first-{kind}", LogicalResourceId="One")
    assert resource["StackResourceDetail"]["ResourceStatus"] == "CREATE_COMPLETE"
