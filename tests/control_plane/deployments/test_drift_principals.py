"""What somebody gave a group's principals by hand, which CloudFormation does not see: found, said in a sentence, and taken back."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from django.test import Client
from moto import mock_aws

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.members import add_member
from control_plane.access.groups.services.suspension import suspend_members
from control_plane.access.keys.adopted import adopt, update_adopted_key_ids
from control_plane.access.keys.models import AdoptedKey
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.deployments import cloudformation, drift, drift_detection, iam_users
from control_plane.deployments.cloudformation import StackResource
from control_plane.deployments.models import Deployment, DriftState, Stack
from control_plane.deployments.requests import request_repair
from control_plane.deployments.tasks import check_drift
from tests.control_plane.deployments.test_drift_detection import FakeDetection, progress
from tests.control_plane.fakes import FakeAws, holding, reconcile_all
from tests.factories import MembershipFactory, UserFactory, settle

pytestmark = pytest.mark.django_db
NAME, PATH = "Group-example-lab", "/cohort/example-lab/"
ROLE = IAM_GROUP = "cohort-example-lab"
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
TEMPLATE = {
    "Resources": {
        "Role1": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyName": "undo"}]}},
        "Group1": {"Type": "AWS::IAM::Group", "Properties": {"Policies": [{"PolicyName": "of-the-template"}]}},
    }
}


class Site:
    """A group as it was deployed, with one member who holds a key."""

    def __init__(self, group: Group, user: User, actor: Actor) -> None:
        self.iam = boto3.client("iam")
        self.cloudformation = FakeDetection()
        self.cloudformation.get_template = lambda **_: {"TemplateBody": TEMPLATE}  # type: ignore[method-assign]
        add_member(group=group, user=user, access=Access.KEYS, actor=actor)
        settle(group.stack)
        self.stack = Stack.objects.get()
        self.user = f"cohort-example-lab-{Membership.objects.get().username}"
        self.iam.create_role(RoleName=ROLE, Path=PATH, AssumeRolePolicyDocument="{}")
        self.iam.put_role_policy(RoleName=ROLE, PolicyName="undo", PolicyDocument=DOCUMENT)
        self.iam.create_group(GroupName=IAM_GROUP, Path=PATH)
        self.iam.put_group_policy(GroupName=IAM_GROUP, PolicyName="of-the-template", PolicyDocument=DOCUMENT)
        self.own = self.iam.create_policy(PolicyName="own", Path=PATH, PolicyDocument=DOCUMENT)["Policy"]["Arn"]
        self.foreign = self.iam.create_policy(PolicyName="foreign", PolicyDocument=DOCUMENT)["Policy"]["Arn"]
        self.iam.attach_group_policy(GroupName=IAM_GROUP, PolicyArn=self.own)
        self.iam.create_user(UserName=self.user, Path=PATH)
        self.iam.add_user_to_group(GroupName=IAM_GROUP, UserName=self.user)
        self.key = self.iam.create_access_key(UserName=self.user)["AccessKey"]["AccessKeyId"]

    def keys_there(self) -> set[str]:
        return {key["AccessKeyId"] for key in self.iam.list_access_keys(UserName=self.user)["AccessKeyMetadata"]}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, group: Group, ada: User, operator: Actor) -> Any:
    with mock_aws():
        made = Site(group, ada, operator)
        monkeypatch.setattr(cloudformation, "client", lambda region: made.cloudformation)
        monkeypatch.setattr(cloudformation, "observe", lambda *_: holding(2))
        monkeypatch.setattr(
            cloudformation, "resources", lambda *_: [StackResource("Key1", "AWS::IAM::AccessKey", made.key, "CREATE_COMPLETE")]
        )
        monkeypatch.setattr(drift_detection, "POLL_SECONDS", 0)
        yield made


def checked() -> tuple[str, list[dict[str, Any]]]:
    check_drift.call(Stack.objects.get().pk)
    stack = Stack.objects.get()
    return stack.drift_state, stack.drift


def test_a_group_that_nobody_touched_is_as_deployed(site: Site) -> None:
    assert checked() == (DriftState.IN_SYNC, [])


def test_a_key_that_somebody_made_is_found_and_the_stack_s_own_is_not(site: Site) -> None:
    added = site.iam.create_access_key(UserName=site.user)["AccessKey"]["AccessKeyId"]
    state, (found,) = checked()
    assert (state, found["type"], found["logical_id"]) == (DriftState.DRIFTED, "AWS::IAM::AccessKey", site.user)
    assert found["note"].startswith(f"{site.user} has an access key {added} that Cohort did not make")
    assert found["note"].endswith("it works. Repair deletes it.")


def test_a_key_that_somebody_brought_along_is_none_that_was_added(site: Site) -> None:
    added = site.iam.create_access_key(UserName=site.user)["AccessKey"]["AccessKeyId"]
    adopt(membership=Membership.objects.get(), access_key_id=added, old_user="ada-old")
    assert checked()[0] == DriftState.IN_SYNC
    AdoptedKey.objects.update(state=AdoptedKey.State.REMOVED)
    update_adopted_key_ids(Stack.objects.get().pk)
    assert checked()[0] == DriftState.DRIFTED


def test_a_password_for_the_console_is_found_and_the_page_says_how_to_remove_it(
    site: Site, administrator: User, client: Client
) -> None:
    site.iam.create_login_profile(UserName=site.user, Password="not a secret of anybody 1")
    assert checked()[0] == DriftState.DRIFTED
    client.force_login(administrator)
    page = client.get(f"/deployments/stacks/{NAME}/").content.decode()
    assert f"{site.user} has a password for AWS’s console" in page
    assert "Manage console access" in page


def test_policies_on_the_user_are_found(site: Site) -> None:
    site.iam.put_user_policy(UserName=site.user, PolicyName="more", PolicyDocument=DOCUMENT)
    site.iam.attach_user_policy(UserName=site.user, PolicyArn=site.foreign)
    state, found = checked()
    assert state == DriftState.DRIFTED
    assert [resource["note"] for resource in found] == [
        f"The user {site.user} has an inline policy “more” that Cohort did not put there. Repair deletes it.",
        f"The user {site.user} has the policy {site.foreign} attached, which Cohort did not attach. Detach it in IAM, under "
        "“Permissions”.",
    ]


def test_policies_on_the_role_and_the_group_are_found(site: Site) -> None:
    site.iam.put_role_policy(RoleName=ROLE, PolicyName="more", PolicyDocument=DOCUMENT)
    site.iam.attach_role_policy(RoleName=ROLE, PolicyArn=site.foreign)
    site.iam.put_group_policy(GroupName=IAM_GROUP, PolicyName="more", PolicyDocument=DOCUMENT)
    site.iam.attach_group_policy(GroupName=IAM_GROUP, PolicyArn=site.foreign)
    state, found = checked()
    assert (state, [resource["type"].rpartition("::")[2] for resource in found]) == (
        DriftState.DRIFTED,
        ["RolePolicy", "Role", "GroupPolicy", "Group"],
    )


def test_what_cloudformation_reports_too_is_said_once(site: Site) -> None:
    site.iam.attach_role_policy(RoleName=ROLE, PolicyArn=site.foreign)
    added = {"PropertyPath": "/ManagedPolicyArns/1", "ExpectedValue": "null", "ActualValue": site.foreign, "DifferenceType": "ADD"}
    site.cloudformation.drifts = [
        {
            "LogicalResourceId": "Role1",
            "ResourceType": "AWS::IAM::Role",
            "StackResourceDriftStatus": "MODIFIED",
            "PropertyDifferences": [added],
        }
    ]
    assert [resource["logical_id"] for resource in checked()[1]] == ["Role1"]


def test_a_user_whom_somebody_put_into_the_iam_group_is_found(site: Site) -> None:
    site.iam.create_user(UserName="intruder")
    site.iam.add_user_to_group(GroupName=IAM_GROUP, UserName="intruder")
    state, (found,) = checked()
    assert (state, found["logical_id"]) == (DriftState.DRIFTED, "intruder")
    assert f"is in the IAM group {IAM_GROUP}" in found["note"]


def test_what_was_put_on_somebody_at_once_is_no_drift_while_its_deployment_waits(
    site: Site, group: Group, ada: User, operator: Actor
) -> None:
    suspend_members(group=group, users=[ada], actor=operator)
    site.iam.put_user_policy(UserName=site.user, PolicyName="suspended", PolicyDocument=DOCUMENT)
    assert not [resource for resource in checked()[1] if resource["type"].endswith("Policy")]


def test_what_may_not_be_read_is_not_called_as_deployed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """IAM answers AccessDenied of what our rights do not name, and of what is not there: it has no path that they could name."""

    def refuse(*_: object) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "ListUserPolicies")

    monkeypatch.setattr(iam_users._Reader, "user", refuse)
    state, (found,) = checked()
    assert (state, found["status"], found["logical_id"]) == (DriftState.FAILED, "unread", site.user)


@pytest.mark.parametrize("answer", ["NoSuchEntity", "AccessDenied"])
def test_a_role_that_is_gone_by_cloudformation_s_word_is_told_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    def refuse(*_: object) -> Any:
        raise ClientError({"Error": {"Code": answer, "Message": "no"}}, "ListRolePolicies")

    monkeypatch.setattr(iam_users._Reader, "role", refuse)
    gone = {"LogicalResourceId": "Role1", "ResourceType": "AWS::IAM::Role", "StackResourceDriftStatus": "DELETED"}
    site.cloudformation.drifts = [gone]
    assert [item["status"] for item in checked()[1]] == ["deleted"]


def test_a_large_group_is_looked_at_in_steps_each_user_once(site: Site, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        user = UserFactory.create(email=f"holder{number}@example.org")
        MembershipFactory.create(group=group, user=user, keys=True)
    settle(group.stack)
    monkeypatch.setattr(cloudformation, "observe", lambda *_: holding(4))
    users = sorted(f"cohort-example-lab-{membership.username}" for membership in Membership.objects.all())
    for name in set(users) - {site.user}:
        site.iam.create_user(UserName=name, Path=PATH)
    for name in users:
        site.iam.put_user_policy(UserName=name, PolicyName="more", PolicyDocument=DOCUMENT)
    monkeypatch.setattr(drift, "STEP_SECONDS", -1)
    check_drift.call(site.stack.pk)
    steps = 1
    while Stack.objects.get().drift_state == DriftState.CHECKING:
        assert (steps := steps + 1) < 9
        check_drift.call(site.stack.pk, **progress())
    found = [resource["logical_id"] for resource in Stack.objects.get().drift if resource["type"] == "AWS::IAM::UserPolicy"]
    assert (found, steps) == (users, 4)


def test_repair_takes_back_what_our_rights_can_and_leaves_the_rest_with_what_to_do(
    site: Site, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = site.iam.create_access_key(UserName=site.user)["AccessKey"]["AccessKeyId"]
    site.iam.create_login_profile(UserName=site.user, Password="not a secret of anybody 1")
    site.iam.put_user_policy(UserName=site.user, PolicyName="more", PolicyDocument=DOCUMENT)
    site.iam.put_group_policy(GroupName=IAM_GROUP, PolicyName="more", PolicyDocument=DOCUMENT)
    site.iam.put_role_policy(RoleName=ROLE, PolicyName="more", PolicyDocument=DOCUMENT)
    checked()
    with monkeypatch.context() as patch:
        aws = FakeAws(stacks={NAME: holding(2)}).install(patch)
        patch.setattr(drift, "_template", lambda _: TEMPLATE)
        request_repair(site.stack, actor=operator)
        assert reconcile_all(aws) == 1
    deployment = Deployment.objects.latest("pk")
    assert deployment.state == "succeeded"
    assert site.keys_there() == {site.key} != {added}
    assert site.iam.list_user_policies(UserName=site.user)["PolicyNames"] == []
    assert site.iam.list_group_policies(GroupName=IAM_GROUP)["PolicyNames"] == ["of-the-template"]
    assert site.iam.list_role_policies(RoleName=ROLE)["PolicyNames"] == ["undo"]
    told = f"deleted the access key {added} of {site.user}, which was added outside Cohort"
    assert told in deployment.log.values_list("text", flat=True)
    state, (left,) = checked()
    assert (state, left["type"]) == (DriftState.DRIFTED, "AWS::IAM::LoginProfile")


def test_a_key_that_became_ours_since_the_check_is_not_taken_back(site: Site) -> None:
    added = site.iam.create_access_key(UserName=site.user)["AccessKey"]["AccessKeyId"]
    checked()
    adopt(membership=Membership.objects.get(), access_key_id=added, old_user="ada-old")
    assert list(drift.delete_recorded_additions(Stack.objects.get())) == []
    assert added in site.keys_there()
