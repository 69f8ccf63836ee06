"""IAM users that change their names, and that a stack takes in, as on AWS."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import S3_ONLY, client, deploy, ended, works

POLICY = {"PolicyName": "files", "PolicyDocument": S3_ONLY}
GROUP = {"Type": "AWS::IAM::Group", "Properties": {"GroupName": "movers", "Policies": [POLICY]}}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def a_user(aws: EmbeddedAws, name: str) -> tuple[str, tuple[str, str]]:
    """A user with a key, by hand. Returns the unique id and the key."""
    iam = client(aws, "iam")
    made = iam.create_user(UserName=name, Path="/old/")["User"]["UserId"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return made, (key["AccessKeyId"], key["SecretAccessKey"])


def user(name: str, **more: Any) -> dict[str, Any]:
    return {"Type": "AWS::IAM::User", "DeletionPolicy": "Retain", "Properties": {"UserName": name, "Path": "/old/", **more}}


def imported(aws: EmbeddedAws, stack: str, resources: dict[str, Any], name: str) -> dict[str, Any]:
    """The change set that takes the user `User` in, executed if it can be."""
    cloudformation = client(aws, "cloudformation")
    at = {"StackName": stack, "ChangeSetName": f"take-{name}"}
    cloudformation.create_change_set(
        **at,
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps({"Resources": resources}),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        ResourcesToImport=[
            {"ResourceType": "AWS::IAM::User", "LogicalResourceId": "User", "ResourceIdentifier": {"UserName": name}}
        ],
    )
    made: dict[str, Any] = cloudformation.describe_change_set(**at)
    if made["ExecutionStatus"] == "AVAILABLE":
        cloudformation.execute_change_set(**at)
    return made


def test_a_renamed_user_keeps_id_key_groups_and_policies(aws: EmbeddedAws) -> None:
    iam = client(aws, "iam")
    unique_id, key = a_user(aws, "renamed-before")
    deploy(aws, "groups", {"Group": GROUP})
    iam.add_user_to_group(GroupName="movers", UserName="renamed-before")
    iam.put_user_policy(UserName="renamed-before", PolicyName="own", PolicyDocument=json.dumps(S3_ONLY))
    iam.update_user(UserName="renamed-before", NewUserName="renamed-after", NewPath="/new/")
    found = iam.get_user(UserName="renamed-after")["User"]
    assert found["UserId"] == unique_id
    assert found["Arn"].endswith(":user/new/renamed-after")
    assert [group["GroupName"] for group in iam.list_groups_for_user(UserName="renamed-after")["Groups"]] == ["movers"]
    assert iam.list_user_policies(UserName="renamed-after")["PolicyNames"] == ["own"]
    assert client(aws, "sts", *key).get_caller_identity()["Arn"].endswith("/renamed-after")
    client(aws, "s3", *key).list_buckets()
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_user(UserName="renamed-before")


def test_a_name_that_is_taken_or_unknown_is_refused(aws: EmbeddedAws) -> None:
    iam = client(aws, "iam")
    a_user(aws, "one-of-two")
    a_user(aws, "other-of-two")
    with pytest.raises(ClientError, match="EntityAlreadyExists"):
        iam.update_user(UserName="one-of-two", NewUserName="other-of-two")
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.update_user(UserName="nobody", NewUserName="somebody")


def test_a_stack_takes_a_user_in_and_changes_and_removes_it_then(aws: EmbeddedAws) -> None:
    _, key = a_user(aws, "taken")
    group = {"Type": "AWS::IAM::Group", "Properties": {"GroupName": "takers"}}
    deploy(aws, "taking", {"Group": group})
    imported(aws, "taking", {"Group": group, "User": user("taken")}, "taken")
    assert ended(aws, "taking")["StackStatus"] == "IMPORT_COMPLETE"
    assert works(aws, key)
    changed = user("taken", Groups=[{"Ref": "Group"}])
    del changed["DeletionPolicy"]
    assert deploy(aws, "taking", {"Group": group, "User": changed})["StackStatus"] == "UPDATE_COMPLETE"
    groups = client(aws, "iam").list_groups_for_user(UserName="taken")["Groups"]
    assert [item["GroupName"] for item in groups] == ["takers"]
    client(aws, "iam").delete_access_key(UserName="taken", AccessKeyId=key[0])
    deploy(aws, "taking", {"Group": group})
    with pytest.raises(ClientError, match="NoSuchEntity"):
        client(aws, "iam").get_user(UserName="taken")


def test_a_user_that_is_not_there_or_in_a_stack_already_is_not_taken_in(aws: EmbeddedAws) -> None:
    group = {"Type": "AWS::IAM::Group", "Properties": {"GroupName": "refusers"}}
    deploy(aws, "refusing", {"Group": group})
    assert imported(aws, "refusing", {"Group": group, "User": user("nowhere")}, "nowhere")["Status"] == "FAILED"
    deploy(aws, "holding", {"User": user("held")})
    refused = imported(aws, "refusing", {"Group": group, "User": user("held")}, "held")
    assert refused["Status"] == "FAILED"
    assert "already exists in stack" in refused["StatusReason"]
