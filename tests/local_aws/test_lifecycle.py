"""A stack's life on the embedded AWS: each state that AWS knows can be brought about, seen and left."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import (
    S3_ONLY,
    body_of,
    client,
    deploy,
    ended,
    held_key,
    key_holder,
    slowly,
    start,
    states,
    wait_for,
    works,
)

# Seconds for each resource: long enough to be seen on a machine that is busy with other tests.
SLOW = 1.0
NEVER = 600


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def group(name: str, *policies: str, after: str | None = None) -> dict[str, Any]:
    """A group with these inline policies."""
    inline = [{"PolicyName": policy, "PolicyDocument": S3_ONLY} for policy in policies]
    return {
        "Type": "AWS::IAM::Group",
        "Properties": {"GroupName": name, "Policies": inline},
        **({"DependsOn": after} if after else {}),
    }


def user(name: str, after: str) -> dict[str, Any]:
    return {"Type": "AWS::IAM::User", "DependsOn": after, "Properties": {"UserName": name}}


def policies(aws: EmbeddedAws, name: str) -> list[str]:
    return client(aws, "iam").list_group_policies(GroupName=name)["PolicyNames"]  # type: ignore[no-any-return]


def status(aws: EmbeddedAws, name: str) -> str:
    return client(aws, "cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]  # type: ignore[no-any-return]


def change_set(aws: EmbeddedAws, stack: str, name: str, body: str, kind: str = "UPDATE") -> dict[str, Any]:
    names = {"StackName": stack, "ChangeSetName": name}
    cloudformation = client(aws, "cloudformation")
    cloudformation.create_change_set(TemplateBody=body, ChangeSetType=kind, Capabilities=["CAPABILITY_NAMED_IAM"], **names)
    return cloudformation.describe_change_set(**names)  # type: ignore[no-any-return]


def test_every_state_in_progress_can_be_seen(aws: EmbeddedAws) -> None:
    with slowly(aws, SLOW):
        start(aws, "paced", body_of({"A": group("paced-a"), "B": group("paced-b", after="A")}))
        assert status(aws, "paced") == "CREATE_IN_PROGRESS"
        assert ended(aws, "paced")["StackStatus"] == "CREATE_COMPLETE"
        start(aws, "paced", body_of({"A": group("paced-a", "one")}))
        assert status(aws, "paced") == "UPDATE_IN_PROGRESS"
        wait_for(aws, "paced", "A", "UPDATE_COMPLETE")
        assert status(aws, "paced") == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"
        with pytest.raises(ClientError, match="cannot be called from current stack status"):
            client(aws, "cloudformation").cancel_update_stack(StackName="paced")
        assert ended(aws, "paced")["StackStatus"] == "UPDATE_COMPLETE"
        client(aws, "cloudformation").delete_stack(StackName="paced")
        assert status(aws, "paced") == "DELETE_IN_PROGRESS"
        client(aws, "cloudformation").delete_stack(StackName="paced")


def test_others_are_served_meanwhile_and_a_pace_that_is_changed_holds_at_once(aws: EmbeddedAws) -> None:
    with slowly(aws, NEVER):
        start(aws, "hurried", body_of({"A": group("hurried-a")}))
        client(aws, "iam").list_users()
        assert status(aws, "hurried") == "CREATE_IN_PROGRESS"
    began = time.monotonic()
    assert ended(aws, "hurried")["StackStatus"] == "CREATE_COMPLETE"
    assert time.monotonic() - began < NEVER / 2


def test_a_slow_instance_stops_quickly_and_finishes_what_it_was_at(tmp_path: Path) -> None:
    port = free_port()
    with EmbeddedAws(port, tmp_path, pace=NEVER) as first:
        start(first, "stopped", body_of(key_holder("stopped")))
        assert status(first, "stopped") == "CREATE_IN_PROGRESS"
        began = time.monotonic()
    assert time.monotonic() - began < NEVER / 2
    with EmbeddedAws(port, tmp_path) as second:
        assert status(second, "stopped") == "CREATE_COMPLETE"
        assert works(second, held_key(second, "stopped"))


def test_a_busy_stack_refuses_other_operations(aws: EmbeddedAws) -> None:
    deploy(aws, "busy", {"A": group("busy-a")})
    body = body_of({"A": group("busy-a", "two")})
    with slowly(aws, SLOW):
        start(aws, "busy", body_of({"A": group("busy-a", "one")}))
        for refused in (
            lambda: client(aws, "cloudformation").delete_stack(StackName="busy"),
            lambda: start(aws, "busy", body),
            lambda: change_set(aws, "busy", "too-early", body),
        ):
            with pytest.raises(ClientError, match="UPDATE_IN_PROGRESS"):
                refused()
    assert ended(aws, "busy")["StackStatus"] == "UPDATE_COMPLETE"


@pytest.mark.parametrize("last", [False, True])
def test_a_cancelled_update_goes_back(aws: EmbeddedAws, last: bool) -> None:
    """Also where the resource in progress is the last one."""
    name = f"cancelled-{last}".lower()
    deploy(aws, name, {"A": group(f"{name}-a"), "B": group(f"{name}-b", after="A")})
    with slowly(aws, SLOW):
        start(aws, name, body_of({"A": group(f"{name}-a", "new"), "B": group(f"{name}-b", "new", after="A")}))
        wait_for(aws, name, "B" if last else "A", "UPDATE_IN_PROGRESS")
        client(aws, "cloudformation").cancel_update_stack(StackName=name)
        wait_for(aws, name, name, "UPDATE_ROLLBACK_IN_PROGRESS")
    assert ended(aws, name)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert policies(aws, f"{name}-a") == policies(aws, f"{name}-b") == []
    assert (("B", "UPDATE_IN_PROGRESS") in states(aws, name)) is last
    events = client(aws, "cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    assert any(event.get("ResourceStatusReason") == "User Initiated" for event in events)


def test_a_stack_that_could_not_be_created_can_only_be_deleted(aws: EmbeddedAws) -> None:
    client(aws, "iam").create_user(UserName="taken")
    resources = {"A": group("rolled-a"), "B": user("taken", "A")}
    assert deploy(aws, "rolled", resources)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "rolled-a" not in {group["GroupName"] for group in client(aws, "iam").list_groups()["Groups"]}
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        change_set(aws, "rolled", "update", body_of(resources))
    with pytest.raises(ClientError, match="already exists and cannot be created again"):
        change_set(aws, "rolled", "create", body_of(resources), "CREATE")
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE"):
        start(aws, "rolled", body_of(resources))
    client(aws, "cloudformation").delete_stack(StackName="rolled")
    client(aws, "iam").delete_user(UserName="taken")
    assert deploy(aws, "rolled", resources)["StackStatus"] == "CREATE_COMPLETE"


def test_a_group_with_a_foreign_user_in_it_fails_to_be_deleted(aws: EmbeddedAws) -> None:
    iam, cloudformation = client(aws, "iam"), client(aws, "cloudformation")
    deploy(aws, "undeletable", key_holder("undeletable"))
    iam.create_user(UserName="foreign")
    iam.add_user_to_group(GroupName="undeletable-group", UserName="foreign")
    cloudformation.delete_stack(StackName="undeletable")
    stack = ended(aws, "undeletable")
    assert stack["StackStatus"] == "DELETE_FAILED"
    assert "[Group]" in stack["StackStatusReason"]
    left = cloudformation.describe_stack_resources(StackName="undeletable")["StackResources"]
    assert [(resource["LogicalResourceId"], resource["ResourceStatus"]) for resource in left] == [("Group", "DELETE_FAILED")]
    with pytest.raises(ClientError, match="DELETE_FAILED"):
        start(aws, "undeletable", body_of(key_holder("undeletable", 2)))
    iam.remove_user_from_group(GroupName="undeletable-group", UserName="foreign")
    cloudformation.delete_stack(StackName="undeletable")
    with pytest.raises(ClientError, match="does not exist"):
        status(aws, "undeletable")


def test_what_fails_to_be_deleted_can_be_kept_instead(aws: EmbeddedAws) -> None:
    iam, cloudformation = client(aws, "iam"), client(aws, "cloudformation")
    deploy(aws, "keeping", {"A": group("keeping-a")})
    iam.create_user(UserName="keeper")
    iam.add_user_to_group(GroupName="keeping-a", UserName="keeper")
    cloudformation.delete_stack(StackName="keeping")
    assert ended(aws, "keeping")["StackStatus"] == "DELETE_FAILED"
    cloudformation.delete_stack(StackName="keeping", RetainResources=["A"])
    assert iam.get_group(GroupName="keeping-a")
    with pytest.raises(ClientError, match="does not exist"):
        status(aws, "keeping")


def rollback_failed(aws: EmbeddedAws, name: str) -> None:
    """A was changed and then deleted by somebody else, B cannot be created, and A cannot be put back."""
    iam = client(aws, "iam")
    iam.create_user(UserName=f"{name}-taken")
    deploy(aws, name, {"A": group(f"{name}-a", "old")})
    with slowly(aws, SLOW):
        start(aws, name, body_of({"A": group(f"{name}-a", "new"), "B": user(f"{name}-taken", "A")}))
        wait_for(aws, name, "A", "UPDATE_COMPLETE")
        iam.delete_group(GroupName=f"{name}-a")
    stack = ended(aws, name)
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    assert "[A]" in stack["StackStatusReason"]


def test_a_rollback_that_failed_is_continued_once_its_cause_is_gone(aws: EmbeddedAws) -> None:
    cloudformation, iam = client(aws, "cloudformation"), client(aws, "iam")
    rollback_failed(aws, "continued")
    body = body_of({"A": group("continued-a", "other")})
    for refused in (lambda: start(aws, "continued", body), lambda: change_set(aws, "continued", "refused", body)):
        with pytest.raises(ClientError, match="UPDATE_ROLLBACK_FAILED"):
            refused()
    cloudformation.continue_update_rollback(StackName="continued")
    assert ended(aws, "continued")["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    iam.create_group(GroupName="continued-a")
    iam.put_group_policy(GroupName="continued-a", PolicyName="new", PolicyDocument=json.dumps(S3_ONLY))
    cloudformation.continue_update_rollback(StackName="continued")
    assert ended(aws, "continued")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert policies(aws, "continued-a") == ["old"]
    assert deploy(aws, "continued", {"A": group("continued-a", "other")})["StackStatus"] == "UPDATE_COMPLETE"


def test_a_rollback_that_failed_can_skip_what_failed(aws: EmbeddedAws) -> None:
    cloudformation = client(aws, "cloudformation")
    rollback_failed(aws, "skipped")
    with pytest.raises(ClientError, match="cannot be skipped"):
        cloudformation.continue_update_rollback(StackName="skipped", ResourcesToSkip=["B"])
    cloudformation.continue_update_rollback(StackName="skipped", ResourcesToSkip=["A"])
    assert ended(aws, "skipped")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_a_resource_that_is_gone_fails_an_update_of_it(aws: EmbeddedAws) -> None:
    """AWS does not create it again; a drift-aware change set does."""
    deploy(aws, "gone", key_holder("gone"))
    iam = client(aws, "iam")
    iam.delete_access_key(UserName="gone", AccessKeyId=held_key(aws, "gone")[0])
    iam.delete_user(UserName="gone")
    policy = [{"PolicyName": "p", "PolicyDocument": S3_ONLY}]
    assert deploy(aws, "gone", key_holder("gone", Policies=policy))["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    events = client(aws, "cloudformation").describe_stack_events(StackName="gone")["StackEvents"]
    assert any("'gone' was not found" in event.get("ResourceStatusReason", "") for event in events)


def test_a_stack_whose_first_change_set_was_not_executed_is_in_review(aws: EmbeddedAws) -> None:
    cloudformation = client(aws, "cloudformation")
    body = body_of({"A": group("reviewed-a")})
    assert change_set(aws, "reviewed", "first", body, "CREATE")["ExecutionStatus"] == "AVAILABLE"
    assert status(aws, "reviewed") == "REVIEW_IN_PROGRESS"
    for refused in (lambda: start(aws, "reviewed", body), lambda: change_set(aws, "reviewed", "update", body)):
        with pytest.raises(ClientError, match="REVIEW_IN_PROGRESS"):
            refused()
    change_set(aws, "reviewed", "second", body, "CREATE")
    cloudformation.execute_change_set(StackName="reviewed", ChangeSetName="second")
    assert ended(aws, "reviewed")["StackStatus"] == "CREATE_COMPLETE"
    change_set(aws, "abandoned", "first", body_of({"A": group("abandoned-a")}), "CREATE")
    cloudformation.delete_stack(StackName="abandoned")
    with pytest.raises(ClientError, match="does not exist"):
        status(aws, "abandoned")


@pytest.mark.parametrize("by", ["change set", "update"])
def test_a_change_set_that_another_update_overtook_cannot_be_executed(aws: EmbeddedAws, by: str) -> None:
    name = f"overtaken-{by.replace(' ', '-')}"
    cloudformation = client(aws, "cloudformation")
    deploy(aws, name, {"A": group(f"{name}-a")})
    change_set(aws, name, "older", body_of({"A": group(f"{name}-a", "older")}))
    newer = body_of({"A": group(f"{name}-a", "newer")})
    if by == "update":
        start(aws, name, newer)
    else:
        change_set(aws, name, "newer", newer)
        cloudformation.execute_change_set(StackName=name, ChangeSetName="newer")
    assert ended(aws, name)["StackStatus"] == "UPDATE_COMPLETE"
    with pytest.raises(ClientError) as caught:
        cloudformation.execute_change_set(StackName=name, ChangeSetName="older")
    assert caught.value.response["Error"]["Code"] in ("ChangeSetNotFound", "InvalidChangeSetStatus")
    assert policies(aws, f"{name}-a") == ["newer"]
