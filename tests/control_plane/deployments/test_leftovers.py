"""What CloudFormation could not remove: no run that leaves it is done, nor any later one, until AWS holds it no more."""

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from django.test import Client
from moto import mock_aws

from control_plane.access.groups.models import Group
from control_plane.accounts.models import User
from control_plane.base.aws import Place
from control_plane.deployments import cloudformation, leftovers
from control_plane.deployments.engine import leases
from control_plane.deployments.leftovers import Leftover, failed_removals, still_there
from control_plane.deployments.models import Deployment, Failure, Stack, StoredManifest
from control_plane.deployments.plans import Plan, ResourceChange
from tests.control_plane.fakes import FakeAws, holding, run_one
from tests.factories import DeploymentFactory, settle

PLACE = Place("111122223333", "us-east-1")

pytestmark = pytest.mark.django_db
NAME = "Group-example-lab"
REASON = "Cannot delete entity, must delete access keys first."
USER = Leftover(
    "User2", "AWS::IAM::User", "cohort-example-lab-maaaaaaaaaaa", "Cannot delete entity, must delete access keys first."
)
NOTHING_REMOVED = Plan(resources=[ResourceChange("Role1", "AWS::IAM::Role", "change")])
ALL_REMOVED = Plan(resources=[ResourceChange("User2", "AWS::IAM::User", "remove")])


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    return FakeAws(plan=ALL_REMOVED).install(monkeypatch)


@pytest.fixture
def left_behind(group: Group, aws: FakeAws) -> FakeAws:
    """A deployed group whose next run leaves a user behind."""
    settle(group.stack)
    aws.stacks[NAME] = holding(1)
    aws.newest_event = "e1"
    aws.not_removed["e1"] = [USER]
    Stack.objects.update(generation=2)
    text = StoredManifest.objects.get(generation=1).text.replace('"generation":1', '"generation":2')
    StoredManifest.objects.create(stack=group.stack, generation=2, text=text)
    DeploymentFactory.create(stack=group.stack, generation=2, from_generation=1)
    return aws


def again(aws: FakeAws) -> Deployment:
    """Somebody deploys it again, which changes nothing: nothing happens on AWS any more."""
    aws.newest_event = "e2"
    aws.plan = None
    stack = Stack.objects.get()
    DeploymentFactory.create(stack=stack, from_generation=stack.deployed_generation)
    return run_one(aws)


def test_what_could_not_be_removed_is_a_failure_though_cloudformation_calls_the_update_complete(left_behind: FakeAws) -> None:
    ended = run_one(left_behind)
    assert (ended.state, ended.failure, ended.stack.deployed_generation) == ("failed", Failure.PERMANENT, 1)
    assert ended.error == (
        "CloudFormation could not remove AWS::IAM::User “User2 (cohort-example-lab-maaaaaaaaaaa)”: "
        "Cannot delete entity, must delete access keys first."
    )
    assert "a key of it may still work" in ended.advice
    assert "Remove it by hand on AWS" in ended.advice
    assert ended.stack.leftovers == [USER.to_json()]


def test_it_stays_a_failure_in_each_later_run_until_it_is_gone(left_behind: FakeAws) -> None:
    run_one(left_behind)
    for _ in range(2):
        ended = again(left_behind)
        assert (ended.state, ended.stack.leftovers) == ("failed", [USER.to_json()])
        assert "“User2 (cohort-example-lab-maaaaaaaaaaa)”" in ended.error
    left_behind.gone.add(USER.physical_id)
    ended = again(left_behind)
    assert (ended.state, ended.stack.leftovers, ended.stack.deployed_generation) == ("succeeded", [], 2)


def test_a_worker_that_dies_before_it_could_look_leaves_that_to_the_next(left_behind: FakeAws) -> None:
    class Died(BaseException):
        pass

    def die(*_: object) -> None:
        left_behind.stacks[NAME] = holding(2)
        raise Died

    left_behind.while_deploying = die
    with pytest.raises(Died):
        run_one(left_behind)
    left_behind.while_deploying = lambda *_: None
    Stack.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
    leases.recover_abandoned()
    # The update is complete, so that the next try has nothing to remove and sees no new event.
    left_behind.plan, left_behind.newest_event = NOTHING_REMOVED, "e2"
    ended = run_one(left_behind)
    assert (ended.state, ended.stack.leftovers) == ("failed", [USER.to_json()])
    assert ended.stack.change_began_after == ""


def test_an_update_that_removes_nothing_asks_for_no_events(left_behind: FakeAws) -> None:
    left_behind.plan = NOTHING_REMOVED
    assert run_one(left_behind).state == "succeeded"


def test_what_a_rolled_back_update_left_is_remembered_too(left_behind: FakeAws) -> None:
    left_behind.plan = NOTHING_REMOVED
    left_behind.outcome = lambda _: holding(1, "UPDATE_ROLLBACK_COMPLETE")
    assert run_one(left_behind).stack.leftovers == [USER.to_json()]


def test_a_retired_group_is_not_gone_while_something_of_it_is_left(left_behind: FakeAws, group: Group) -> None:
    run_one(left_behind)
    left_behind.newest_event = ""
    left_behind.stacks.pop(NAME)
    Stack.objects.update(is_retired=True)
    assert again(left_behind).state == "failed"
    left_behind.gone.add(USER.physical_id)
    assert again(left_behind).state == "succeeded"


def test_the_stack_s_page_names_what_is_left_and_what_to_do(left_behind: FakeAws, administrator: User, client: Client) -> None:
    run_one(left_behind)
    client.force_login(administrator)
    page = client.get(f"/deployments/stacks/{NAME}/").content.decode()
    assert "cohort-example-lab-maaaaaaaaaaa" in page
    assert "Cannot delete entity" in page
    assert "Delete it on AWS, then deploy again" in page


# CloudFormation's events.

ITSELF = "AWS::CloudFormation::Stack"
NESTED = "arn:aws:cloudformation:us-east-1:111122223333:stack/Group-x-KeyHolders1-ABC/1"


@pytest.fixture
def with_events(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have CloudFormation tell these, newest first, each of a stack: (type, name, status, physical id)."""

    def install(own: list[tuple[str, str, str, str]], inside: list[tuple[str, str, str, str]] | None = None) -> None:
        def told(stack: str, events: list[tuple[str, str, str, str]]) -> list[dict[str, Any]]:
            count = len(events)
            return [
                {
                    "EventId": f"{stack}{count - number}",
                    "StackId": stack,
                    "StackName": stack,
                    "Timestamp": count - number,
                    "ResourceType": kind,
                    "LogicalResourceId": name,
                    "ResourceStatus": status,
                    "PhysicalResourceId": physical,
                    "ResourceStatusReason": "because",
                    "ResourceProperties": '{"UserName": "ada"}',
                }
                for number, (kind, name, status, physical) in enumerate(events)
            ]

        pages = {"Group-x": told("own", own), NESTED: told(NESTED, inside or [])}
        events = SimpleNamespace(paginate=lambda **asked: [{"StackEvents": pages[asked["StackName"]]}])
        monkeypatch.setattr(cloudformation, "client", lambda region: SimpleNamespace(get_paginator=lambda name: events))

    return install


def removal(status: str, name: str = "User2") -> tuple[str, str, str, str]:
    return ("AWS::IAM::User", name, status, f"cohort-{name}")


def names_of(after: str = "") -> list[str]:
    return [resource.physical_id for resource in failed_removals("Group-x", PLACE, after)]


@pytest.mark.parametrize("end", ["DELETE_COMPLETE", "DELETE_SKIPPED"])
def test_a_removal_that_cloudformation_repeats_with_success_leaves_nothing(with_events: Any, end: str) -> None:
    """It tries three times (AWS knowledge centre, "CLEANUP_IN_PROGRESS")."""
    tries = [removal(end), removal("DELETE_IN_PROGRESS"), removal("DELETE_FAILED"), removal("DELETE_IN_PROGRESS")]
    with_events([(ITSELF, "Group-x", "UPDATE_COMPLETE", "own"), *tries, removal("DELETE_FAILED")])
    assert names_of() == []


def test_a_removal_that_fails_at_the_third_try_too_is_left(with_events: Any) -> None:
    tries = [removal("DELETE_FAILED"), removal("DELETE_IN_PROGRESS")] * 3
    with_events([(ITSELF, "Group-x", "UPDATE_COMPLETE", "own"), *tries, removal("DELETE_COMPLETE", "Other")])
    (left,) = failed_removals("Group-x", PLACE, "")
    assert left == Leftover("User2", "AWS::IAM::User", "cohort-User2", "because", "ada")


def test_each_removal_counts_by_itself_and_earlier_runs_do_not(with_events: Any) -> None:
    with_events(
        [removal("DELETE_COMPLETE"), removal("DELETE_FAILED", "Key3"), removal("DELETE_FAILED"), removal("DELETE_FAILED", "Old")]
    )
    assert names_of("own1") == ["cohort-Key3"]


def test_what_a_nested_stack_could_not_remove_is_left_too(with_events: Any) -> None:
    own = [(ITSELF, "Group-x", "UPDATE_COMPLETE", "own"), (ITSELF, "KeyHolders1", "UPDATE_COMPLETE", NESTED)]
    with_events(own, [removal("DELETE_FAILED"), removal("DELETE_FAILED", "Gone"), removal("DELETE_IN_PROGRESS")])
    assert sorted(names_of()) == ["cohort-Gone", "cohort-User2"]


def test_a_stack_that_cannot_be_removed_itself_is_no_leftover_of_its_own(with_events: Any) -> None:
    with_events([(ITSELF, "Group-x", "DELETE_FAILED", "own"), removal("DELETE_FAILED")])
    assert names_of() == ["cohort-User2"]


# Whether AWS holds it.


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, group: Group) -> Any:
    """An IAM with the group's role, and a stack that holds these physical ids."""

    def holds(*physical_ids: str) -> None:
        listed = [cloudformation.StackResource("X", "AWS::IAM::User", item, "UPDATE_COMPLETE") for item in physical_ids]
        monkeypatch.setattr(cloudformation, "resources", lambda *_: listed)

    holds()
    with mock_aws():
        boto3.client("iam").create_role(RoleName="cohort-example-lab", Path="/cohort/example-lab/", AssumeRolePolicyDocument="{}")
        yield holds


def is_left(kind: str, physical_id: str, owner: str = "") -> bool:
    return bool(still_there(Stack.objects.get(), [Leftover("X", kind, physical_id, "because", owner)]))


def make_user(name: str) -> str:
    iam = boto3.client("iam")
    iam.create_user(UserName=name, Path="/cohort/example-lab/")
    return str(iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"])


def test_a_user_and_its_key_are_left_while_iam_lists_them(held: Any) -> None:
    key = make_user("ada")
    assert is_left("AWS::IAM::User", "ada")
    assert is_left("AWS::IAM::AccessKey", key, "ada")
    # An event that does not say whose it is.
    assert is_left("AWS::IAM::AccessKey", key)
    assert not is_left("AWS::IAM::AccessKey", "AKIAGONE", "ada")
    assert not is_left("AWS::IAM::AccessKey", "AKIAGONE")
    assert not is_left("AWS::IAM::AccessKey", key, "nobody")
    assert not is_left("AWS::IAM::User", "nobody")


def test_groups_policies_secrets_and_buckets_that_are_gone_are_not_left(held: Any) -> None:
    boto3.client("iam").create_group(GroupName="there")
    secret = boto3.client("secretsmanager").create_secret(Name="cohort/x", SecretString="{}")["ARN"]
    assert is_left("AWS::IAM::Group", "there")
    assert is_left("AWS::SecretsManager::Secret", secret)
    boto3.client("secretsmanager").delete_secret(SecretId=secret)
    for kind, name in (
        ("AWS::IAM::Group", "gone"),
        ("AWS::IAM::Role", "gone"),
        ("AWS::IAM::ManagedPolicy", "arn:aws:iam::123456789012:policy/cohort/gone"),
        ("AWS::SecretsManager::Secret", secret),
        ("AWS::S3::Bucket", "gone"),
    ):
        assert not is_left(kind, name), kind


def test_what_the_stack_holds_again_is_not_left(held: Any) -> None:
    make_user("ada")
    held("ada")
    assert not is_left("AWS::IAM::User", "ada")


def test_a_type_that_cannot_be_looked_up_counts_as_left(held: Any) -> None:
    assert is_left("AWS::SNS::Topic", "whatever")


@pytest.mark.parametrize("may_look", [True, False])
def test_where_our_rights_name_paths_a_refusal_means_that_it_is_gone_if_we_may_look_at_the_role(
    held: Any, monkeypatch: pytest.MonkeyPatch, may_look: bool
) -> None:
    """What is not there has no path, so IAM decides on its name alone and answers AccessDenied (IAM user guide, "IAM ARNs")."""
    asked = leftovers.LeftoverLookup(Stack.objects.get())
    refusal = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetGroup")

    def refuse(**_: object) -> object:
        raise refusal

    def tell(**_: object) -> object:
        return {"Role": {}}

    monkeypatch.setattr(asked, "_iam", SimpleNamespace(get_group=refuse, get_role=tell if may_look else refuse))
    assert asked.is_gone(Leftover("X", "AWS::IAM::Group", "gone", "because")) is may_look
