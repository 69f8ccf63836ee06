"""What CloudFormation does about a resource that it fails to remove, and what it leaves behind when it takes a creation back."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import body_of, client, deploy, ended, slowly, start, states, wait_for

LEFT = "Update successful. One or more resources could not be deleted."
SLOW = 1.0


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def of(kind: str, policy: str = "", after: str = "", **properties: Any) -> dict[str, Any]:
    more = ({"DeletionPolicy": policy} if policy else {}) | ({"DependsOn": after} if after else {})
    return {"Type": f"AWS::{kind}", "Properties": properties, **more}


def with_foreign_user(aws: EmbeddedAws, group: str, user: str) -> None:
    """IAM removes no group that a user is in."""
    iam = client(aws, "iam")
    iam.create_user(UserName=user)
    iam.add_user_to_group(GroupName=group, UserName=user)


def reason_of(aws: EmbeddedAws, name: str) -> str:
    (stack,) = client(aws, "cloudformation").describe_stacks(StackName=name)["Stacks"]
    return str(stack.get("StackStatusReason", ""))


def after(told: list[tuple[str, str]], status: str) -> list[tuple[str, str]]:
    """The events from the last one with this status on."""
    return told[max(index for index, one in enumerate(told) if one[1] == status) :]


def test_a_removal_that_fails_is_tried_three_times_and_then_leaves_the_stack(aws: EmbeddedAws) -> None:
    """CloudFormation user guide, "Troubleshooting".

    It "attempts to delete the old resource three times", and else "removes the old resource from the stack and continues updating
    the stack".
    """
    name, cloudformation = "thrice", client(aws, "cloudformation")
    deploy(aws, name, {"A": of("IAM::Group", GroupName="thrice-a"), "B": of("IAM::Group", GroupName="thrice-b")})
    with_foreign_user(aws, "thrice-a", "thrice-user")
    stack = deploy(aws, name, {"B": of("IAM::Group", GroupName="thrice-b")})
    assert (stack["StackStatus"], stack["StackStatusReason"]) == ("UPDATE_COMPLETE", LEFT)
    assert after(states(aws, name), "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")[1:] == [
        *[("A", "DELETE_IN_PROGRESS"), ("A", "DELETE_FAILED")] * 3,
        (name, "UPDATE_COMPLETE"),
    ]
    assert cloudformation.describe_stack_events(StackName=name)["StackEvents"][0]["ResourceStatusReason"] == LEFT
    held = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    assert [resource["LogicalResourceId"] for resource in held] == ["B"]
    assert client(aws, "iam").get_group(GroupName="thrice-a"), "it is there still, and no stack knows of it"
    # The next update says nothing of it, and its name is in the way of a stack that wants it again.
    later = deploy(aws, name, {"B": of("IAM::Group", GroupName="thrice-b", Path="/later/")})
    assert (later["StackStatus"], later.get("StackStatusReason", "")) == ("UPDATE_COMPLETE", "")
    again = {"A": of("IAM::Group", GroupName="thrice-a"), "B": of("IAM::Group", GroupName="thrice-b", Path="/later/")}
    assert deploy(aws, name, again)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_a_removal_that_succeeds_at_the_second_try_leaves_nothing(aws: EmbeddedAws) -> None:
    """The same page: what fails because something else is still there goes once that has gone. Nothing names the order here."""
    name = "twice"
    # The user is in the group by its own list, which is no dependency that a template shows.
    resources = {"A": of("IAM::User", UserName="twice-user"), "B": of("IAM::Group", GroupName="twice-group")}
    deploy(aws, name, {**resources, "C": of("IAM::Group", GroupName="twice-c")})
    client(aws, "iam").add_user_to_group(GroupName="twice-group", UserName="twice-user")
    stack = deploy(aws, name, {"C": of("IAM::Group", GroupName="twice-c")})
    told = after(states(aws, name), "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")[1:]
    assert (stack["StackStatus"], stack.get("StackStatusReason", "")) == ("UPDATE_COMPLETE", "")
    assert [status for one, status in told if one == "B"] == [
        "DELETE_IN_PROGRESS",
        "DELETE_FAILED",
        "DELETE_IN_PROGRESS",
        "DELETE_COMPLETE",
    ]
    assert told.index(("A", "DELETE_COMPLETE")) > told.index(("B", "DELETE_FAILED"))
    with pytest.raises(ClientError, match="NoSuchEntity"):
        client(aws, "iam").get_group(GroupName="twice-group")


def test_what_a_replacement_leaves_is_tried_three_times_too(aws: EmbeddedAws) -> None:
    name = "renamed"
    deploy(aws, name, {"A": of("IAM::Group", GroupName="renamed-old")})
    with_foreign_user(aws, "renamed-old", "renamed-user")
    stack = deploy(aws, name, {"A": of("IAM::Group", GroupName="renamed-new")})
    assert (stack["StackStatus"], stack["StackStatusReason"]) == ("UPDATE_COMPLETE", LEFT)
    assert states(aws, name).count(("A", "DELETE_FAILED")) == 3
    (held,) = client(aws, "cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    assert held["PhysicalResourceId"] == "renamed-new"


def test_a_rollback_s_clean_up_tries_three_times_and_says_so(aws: EmbeddedAws) -> None:
    """As AWS tells it of UPDATE_ROLLBACK_COMPLETE: the reason is that of an update."""
    name = "back"
    client(aws, "iam").create_user(UserName="back-taken")
    deploy(aws, name, {"A": of("IAM::Group", GroupName="back-a")})
    further = {
        "A": of("IAM::Group", GroupName="back-a"),
        "B": of("IAM::Group", GroupName="back-b", after="A"),
        "C": of("IAM::User", UserName="back-taken", after="B"),
    }
    with slowly(aws, SLOW):
        start(aws, name, body_of(further))
        wait_for(aws, name, "B", "UPDATE_COMPLETE")
        with_foreign_user(aws, "back-b", "back-user")
        wait_for(aws, name, "C", "UPDATE_FAILED")
    stack = ended(aws, name)
    assert (stack["StackStatus"], stack["StackStatusReason"]) == ("UPDATE_ROLLBACK_COMPLETE", LEFT)
    assert after(states(aws, name), "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")[1:] == [
        *[("B", "DELETE_IN_PROGRESS"), ("B", "DELETE_FAILED")] * 3,
        (name, "UPDATE_ROLLBACK_COMPLETE"),
    ]


def test_what_a_creation_s_rollback_could_not_remove_is_tried_again_by_the_stack_s_deletion(aws: EmbeddedAws) -> None:
    """Recorded: cloudformation/api/test_stacks.py::test_blocked_stack_deletion."""
    name, cloudformation = "blocked", client(aws, "cloudformation")
    client(aws, "iam").create_user(UserName="blocked-taken")
    with slowly(aws, SLOW):
        resources = {
            "A": of("IAM::Group", GroupName="blocked-a"),
            "B": of("IAM::User", UserName="blocked-taken", after="A"),
        }
        start(aws, name, body_of(resources))
        wait_for(aws, name, "A", "CREATE_COMPLETE")
        with_foreign_user(aws, "blocked-a", "blocked-user")
        wait_for(aws, name, "B", "CREATE_FAILED")
    assert ended(aws, name)["StackStatus"] == "ROLLBACK_FAILED"
    cloudformation.delete_stack(StackName=name)
    stack = ended(aws, name)
    assert stack["StackStatus"] == "DELETE_FAILED"
    assert "The following resource(s) failed to delete: [A]." in stack["StackStatusReason"]
    cloudformation.delete_stack(StackName=name, RetainResources=["A"])
    told = states(aws, str(stack["StackId"]))
    assert after(told, "ROLLBACK_IN_PROGRESS") == [
        *[(name, "ROLLBACK_IN_PROGRESS"), ("A", "DELETE_IN_PROGRESS"), ("A", "DELETE_FAILED"), (name, "ROLLBACK_FAILED")],
        *[(name, "DELETE_IN_PROGRESS"), ("A", "DELETE_IN_PROGRESS"), ("A", "DELETE_FAILED"), (name, "DELETE_FAILED")],
        *[(name, "DELETE_IN_PROGRESS"), ("A", "DELETE_SKIPPED"), (name, "DELETE_COMPLETE")],
    ]


# --- DeletionPolicy.

KINDS = ["S3::Bucket", "S3::BucketPolicy", "KMS::Alias", "Logs::LogGroup", "SecretsManager::Secret", "Backup::BackupVault"]


def named(kind: str, name: str, policy: str) -> dict[str, Any]:
    """Stack resources of which "Kept" is of this kind, with this deletion policy and a name of its own."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    kinds: dict[str, dict[str, Any]] = {
        "S3::Bucket": {"BucketName": name},
        "S3::BucketPolicy": {"Bucket": name, "PolicyDocument": {"Version": "2012-10-17", "Statement": [statement]}},
        "KMS::Alias": {"AliasName": f"alias/{name}", "TargetKeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
        "Logs::LogGroup": {"LogGroupName": name},
        "SecretsManager::Secret": {"Name": name, "SecretString": "s"},
        "Backup::BackupVault": {"BackupVaultName": name},
    }
    key = {"Key": of("KMS::Key", KeyPolicy={"Version": "2012-10-17", "Statement": []})} if kind == "KMS::Alias" else {}
    return {**key, "Kept": of(kind, policy, **kinds[kind])}


def fails(name: str) -> dict[str, Any]:
    """What cannot be made, after the rest."""
    return {"Fails": of("IAM::User", after="Kept", UserName=f"{name}-taken")}


@pytest.mark.parametrize("kind", KINDS)
def test_retain_survives_the_rollback_of_a_creation_and_each_retry_then_finds_the_name_taken(aws: EmbeddedAws, kind: str) -> None:
    """CloudFormation template reference, "DeletionPolicy attribute".

    Retain keeps the resource in every operation, the roll-back of its own creation included. RetainExceptOnCreate was added since
    that is so.
    """
    name = f"retain-{kind.split('::')[1].lower()}"
    prepare(aws, kind, name)
    assert deploy(aws, name, {**named(kind, name, "Retain"), **fails(name)})["StackStatus"] == "ROLLBACK_COMPLETE"
    assert ("Kept", "DELETE_SKIPPED") in states(aws, name)
    client(aws, "cloudformation").delete_stack(StackName=name)
    assert deploy(aws, name, named(kind, name, "Retain"))["StackStatus"] == "ROLLBACK_COMPLETE"
    cloudformation = client(aws, "cloudformation")
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    # A bucket's name is looked at before anything is made ("early validation").
    early = cloudformation.describe_events(StackName=name)["OperationEvents"]
    told = [event.get("ResourceStatusReason", "") for event in events] + [item.get("ValidationStatusReason", "") for item in early]
    assert any("already exists" in reason for reason in told), told


@pytest.mark.parametrize("kind", KINDS)
def test_retain_except_on_create_goes_with_its_creation_and_stays_ever_after(aws: EmbeddedAws, kind: str) -> None:
    """CloudFormation template reference, "DeletionPolicy attribute".

    RetainExceptOnCreate behaves as Retain does, "except for the stack operation that initially creates the resource".
    """
    name = f"except-{kind.split('::')[1].lower()}"
    prepare(aws, kind, name)
    resources = named(kind, name, "RetainExceptOnCreate")
    assert deploy(aws, name, {**resources, **fails(name)})["StackStatus"] == "ROLLBACK_COMPLETE"
    assert ("Kept", "DELETE_COMPLETE") in states(aws, name)
    client(aws, "cloudformation").delete_stack(StackName=name)
    assert deploy(aws, name, resources)["StackStatus"] == "CREATE_COMPLETE"
    stack_id = client(aws, "cloudformation").describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    client(aws, "cloudformation").delete_stack(StackName=name)
    assert ("Kept", "DELETE_SKIPPED") in states(aws, stack_id)


def prepare(aws: EmbeddedAws, kind: str, name: str) -> None:
    """A user in the way of `fails`, and the bucket that a bucket policy is for."""
    client(aws, "iam").create_user(UserName=f"{name}-taken")
    if kind == "S3::BucketPolicy":
        client(aws, "s3").create_bucket(Bucket=name)


def test_a_bucket_policy_without_a_deletion_policy_goes_with_its_stack(aws: EmbeddedAws) -> None:
    """The same page: "CloudFormation deletes the resource by default"; a kept bucket is without it from then on."""
    name = "policy-less"
    resources = named("S3::BucketPolicy", name, "")
    resources["Kept"]["DependsOn"] = "Bucket"
    deploy(aws, name, {**resources, "Bucket": of("S3::Bucket", "Retain", BucketName=name)})
    s3 = client(aws, "s3")
    assert s3.get_bucket_policy(Bucket=name)["Policy"]
    client(aws, "cloudformation").delete_stack(StackName=name)
    assert s3.head_bucket(Bucket=name)
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        s3.get_bucket_policy(Bucket=name)


def test_another_deletion_policy_alone_replaces_nothing(aws: EmbeddedAws) -> None:
    """What a site that exists goes through when Retain becomes RetainExceptOnCreate."""
    name, cloudformation = "repolicied", client(aws, "cloudformation")
    deploy(aws, name, named("S3::Bucket", name, "Retain"))
    client(aws, "s3").put_object(Bucket=name, Key="data", Body=b"1")
    after_it = named("S3::Bucket", name, "RetainExceptOnCreate")
    after_it["Kept"]["Metadata"] = {"kept": "except on create"}
    names = {"StackName": name, "ChangeSetName": "policy"}
    cloudformation.create_change_set(TemplateBody=body_of(after_it), ChangeSetType="UPDATE", **names)
    (change,) = cloudformation.describe_change_set(**names)["Changes"]
    assert change["ResourceChange"]["Replacement"] == "False"
    cloudformation.execute_change_set(**names)
    assert ended(aws, name)["StackStatus"] == "UPDATE_COMPLETE"
    assert client(aws, "s3").get_object(Bucket=name, Key="data")["Body"].read() == b"1"
