"""Nested stacks on the embedded AWS: made, changed and removed with the stack that holds them, and taken back with it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import client, deploy

BUCKET = "nested-templates"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        client(running, "s3").create_bucket(Bucket=BUCKET)
        yield running


def nested(aws: EmbeddedAws, key: str, resources: dict[str, Any]) -> dict[str, Any]:
    """A nested stack of these resources, whose template lies in S3 under this key."""
    body = json.dumps({"Parameters": {"group": {"Type": "String"}}, "Resources": resources})
    client(aws, "s3").put_object(Bucket=BUCKET, Key=key, Body=body.encode())
    url = f"https://s3.us-east-1.amazonaws.com/{BUCKET}/{key}"
    return {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": url, "Parameters": {"group": {"Ref": "Group"}}},
    }


def group(name: str) -> dict[str, Any]:
    return {"Type": "AWS::IAM::Group", "Properties": {"GroupName": name}}


def user(name: str) -> dict[str, Any]:
    return {"Type": "AWS::IAM::User", "Properties": {"UserName": name, "Groups": [{"Ref": "group"}]}}


def users(aws: EmbeddedAws) -> set[str]:
    return {user["UserName"] for user in client(aws, "iam").list_users()["Users"]}


def in_group(aws: EmbeddedAws, name: str) -> set[str]:
    return {user["UserName"] for user in client(aws, "iam").get_group(GroupName=name)["Users"]}


def test_it_comes_changes_and_goes_with_the_stack_that_holds_it(aws: EmbeddedAws) -> None:
    def parent(key: str, **people: str) -> dict[str, Any]:
        return {"Group": group("many"), "More": nested(aws, key, {part: user(name) for part, name in people.items()})}

    assert deploy(aws, "Group-many", parent("one", A="ada", B="grace"))["StackStatus"] == "CREATE_COMPLETE"
    assert in_group(aws, "many") == {"ada", "grace"}
    assert deploy(aws, "Group-many", parent("two", B="grace", C="lise"))["StackStatus"] == "UPDATE_COMPLETE"
    assert in_group(aws, "many") == {"grace", "lise"}
    assert users(aws) == {"grace", "lise"}
    assert deploy(aws, "Group-many", {"Group": group("many")})["StackStatus"] == "UPDATE_COMPLETE"
    assert users(aws) == set()


def test_one_that_cannot_be_made_leaves_nothing_behind(aws: EmbeddedAws) -> None:
    client(aws, "iam").create_user(UserName="taken")
    resources = {"Group": group("hapless"), "More": nested(aws, "hapless", {"A": user("fresh"), "B": user("taken")})}
    ended = deploy(aws, "Group-hapless", resources)
    assert ended["StackStatus"] == "ROLLBACK_COMPLETE"
    assert users(aws) == {"taken"}
    client(aws, "iam").delete_user(UserName="taken")


def test_what_cannot_be_added_to_one_is_taken_back(aws: EmbeddedAws) -> None:
    deploy(aws, "Group-back", {"Group": group("back"), "More": nested(aws, "back", {"A": user("stays")})})
    client(aws, "iam").create_user(UserName="foreign")
    further = nested(aws, "further", {"A": user("stays"), "B": user("another"), "C": user("foreign")})
    assert deploy(aws, "Group-back", {"Group": group("back"), "More": further})["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert users(aws) == {"stays", "foreign"}
    assert in_group(aws, "back") == {"stays"}


def test_what_cannot_be_removed_from_one_is_told_by_an_event(aws: EmbeddedAws) -> None:
    inner = {"Inner": group("inner"), "A": user("resident")}
    deploy(aws, "Group-left", {"Group": group("left"), "More": nested(aws, "left", inner)})
    client(aws, "iam").add_user_to_group(GroupName="inner", UserName="resident")
    ended = deploy(aws, "Group-left", {"Group": group("left"), "More": nested(aws, "without", {"A": user("resident")})})
    assert ended["StackStatus"] == "UPDATE_COMPLETE"
    cloudformation = client(aws, "cloudformation")
    (child,) = (
        resource["PhysicalResourceId"]
        for resource in cloudformation.describe_stack_resources(StackName="Group-left")["StackResources"]
        if resource["ResourceType"] == "AWS::CloudFormation::Stack"
    )
    events = cloudformation.describe_stack_events(StackName=child)["StackEvents"]
    failed = [(event["LogicalResourceId"], event["ResourceStatus"]) for event in events if "FAILED" in event["ResourceStatus"]]
    assert failed == [("Inner", "DELETE_FAILED")] * 3
    held = cloudformation.describe_stack_resources(StackName=child)["StackResources"]
    assert [resource["LogicalResourceId"] for resource in held] == ["A"]


def test_the_account_s_limits_are_told(aws: EmbeddedAws) -> None:
    told = {limit["Name"]: limit["Value"] for limit in client(aws, "cloudformation").describe_account_limits()["AccountLimits"]}
    assert told["StackLimit"] == 2000
    assert client(aws, "iam").get_account_summary()["SummaryMap"]["UsersQuota"] == 5000
