"""Handing out credentials: to whom, when, and that it is on record."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from django.core.exceptions import PermissionDenied
from moto import mock_aws

from control_plane.access.groups import errors
from control_plane.access.groups.models import Analysis, Grant, Group, Membership
from control_plane.access.groups.services.credentials import (
    MAX_POLICY_CHARACTERS,
    compact,
    computer_policy,
    member_credentials,
)
from control_plane.access.groups.services.members import remove_member
from control_plane.access.groups.services.platform_stack import platform_stack
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.errors import TooOften
from stacks import names
from tests.factories import MembershipFactory, settle

pytestmark = pytest.mark.django_db


def on_the_web(user: User) -> Actor:
    return Actor(label=user.email, channel="web", user=user)


def with_analyses(group: Group, number: int, operator: Actor, level: Grant.Level | None = None) -> None:
    """Rows alone; every second grant is read-only unless told otherwise."""
    platform = platform_stack()
    for index in range(number):
        analysis = Analysis.objects.create(
            slug=f"a{index}", name=f"A{index}", bucket=f"cohort-a{index}", stack=platform, added_generation=0
        )
        each = level or (Grant.Level.READ_ONLY if index % 2 else Grant.Level.READ_WRITE)
        Grant.objects.create(group=group, analysis=analysis, level=each, added_generation=0)


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


def test_a_federated_member_gets_a_session_that_ends(group: Group, ada: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    document = member_credentials(group=group, user=ada, actor=operator).as_credential_process()
    assert set(document) == {"Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
    assert document["Expiration"].endswith("Z")
    event = AuditEvent.objects.get(action="member.credentials")
    assert event.details == {"access": "federated", "access_key_id": document["AccessKeyId"]}


def test_a_key_holder_gets_their_key_and_the_record_does_not_hold_it(group: Group, ada: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    username = Membership.objects.get().username
    key = {"AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "a-very-secret-key"}
    boto3.client("secretsmanager").create_secret(Name=f"cohort/example-lab/{username}", SecretString=json.dumps(key))
    credentials = member_credentials(group=group, user=ada, actor=operator)
    assert credentials.as_credential_process() == {"Version": 1, **key}
    assert "a-very-secret-key" not in repr(credentials)
    assert "a-very-secret-key" not in json.dumps(list(AuditEvent.objects.values()), default=str)


def test_nobody_gets_any_before_aws_is_ready(group: Group, ada: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada)
    with pytest.raises(errors.NoCredentials, match="not active yet"):
        member_credentials(group=group, user=ada, actor=operator)


def test_who_is_being_removed_gets_none(group: Group, ada: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    remove_member(group=group, user=ada, actor=operator)
    with pytest.raises(errors.NotMember):
        member_credentials(group=group, user=ada, actor=operator)


def test_who_is_inactive_gets_none(group: Group, ada: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    ada.refresh_from_db()
    with pytest.raises(errors.NoCredentials, match="not active"):
        member_credentials(group=group, user=ada, actor=operator)


@pytest.mark.parametrize("who", ["another member", "an administrator"])
def test_on_the_web_nobody_but_the_member_gets_them(group: Group, ada: User, grace: User, administrator: User, who: str) -> None:
    for user in (ada, grace):
        MembershipFactory.create(group=group, user=user)
    settle(group.stack)
    asker = grace if who == "another member" else administrator
    with pytest.raises(PermissionDenied):
        member_credentials(group=group, user=ada, actor=on_the_web(asker))
    assert member_credentials(group=group, user=grace, actor=on_the_web(grace))


def test_on_the_web_a_key_holder_gets_a_session_and_never_the_key(group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    assert member_credentials(group=group, user=ada, actor=on_the_web(ada)).session_token
    assert AuditEvent.objects.get(action="member.credentials").details["access"] == "federated"


def test_a_program_gone_wild_is_slowed_down_and_an_operator_is_not(
    group: Group, ada: User, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control_plane.access.groups.services.credentials.MAX_SESSIONS_PER_HOUR", 2)
    MembershipFactory.create(group=group, user=ada, deployed=True)
    for _ in range(2):
        member_credentials(group=group, user=ada, actor=on_the_web(ada))
    with pytest.raises(TooOften, match="Nothing was changed"):
        member_credentials(group=group, user=ada, actor=on_the_web(ada))
    assert member_credentials(group=group, user=ada, actor=operator)


def test_a_session_is_narrowed_to_the_groups_folder(
    group: Group, ada: User, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    MembershipFactory.create(group=group, user=ada)
    with_analyses(group, 2, operator)
    settle(group.stack)
    asked: dict[str, Any] = {}
    client = boto3.client("sts", region_name="us-east-1")
    original = client.assume_role
    monkeypatch.setattr(client, "assume_role", lambda **request: (asked.update(request), original(**request))[1])
    monkeypatch.setattr("control_plane.base.aws.client", lambda *args, **settings: client)
    member_credentials(group=group, user=ada, actor=on_the_web(ada))
    assert json.loads(asked["Policy"]) == computer_policy(group)


def test_a_policy_names_what_the_group_may_do_and_ends_no_version(group: Group, operator: Actor) -> None:
    with_analyses(group, 2, operator)
    policy = computer_policy(group)
    assert "DeleteObjectVersion" not in compact(policy)
    by_action = {action: statement["Resource"] for statement in policy["Statement"] for action in statement["Action"]}
    assert by_action["s3:GetObject"] == ["arn:aws:s3:::cohort-a0/example-lab/*", "arn:aws:s3:::cohort-a1/example-lab/*"]
    assert by_action["s3:PutObject"] == [f"arn:aws:s3:::cohort-a0/example-lab/{name}/*" for name in names.WRITABLE_FOLDERS]
    listing = next(statement for statement in policy["Statement"] if statement["Action"] == ["s3:ListBucket"])
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["example-lab/*"]}}


def test_a_group_that_only_reads_gets_nothing_that_writes(group: Group, operator: Actor) -> None:
    with_analyses(group, 1, operator, level=Grant.Level.READ_ONLY)
    assert not {"s3:PutObject", "s3:DeleteObject"} & {
        action for statement in computer_policy(group)["Statement"] for action in statement["Action"]
    }


def test_a_group_without_an_analysis_gets_a_session_that_may_nothing(group: Group) -> None:
    assert [statement["Effect"] for statement in computer_policy(group)["Statement"]] == ["Deny"]


def test_forty_analyses_fit_into_a_session_policy_and_the_folder_still_binds_it(group: Group, operator: Actor) -> None:
    with_analyses(group, 40, operator)
    policy = computer_policy(group)
    assert len(compact(policy)) <= MAX_POLICY_CHARACTERS
    for statement in policy["Statement"]:
        if statement["Action"] not in (["s3:ListBucket"], ["s3:GetBucketLocation"]):
            assert all("*/example-lab/" in resource for resource in statement["Resource"])


def test_a_secret_that_aws_does_not_have_is_said_so(group: Group, ada: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    with pytest.raises(errors.NoCredentials, match="Nothing was changed"):
        member_credentials(group=group, user=ada, actor=operator)
