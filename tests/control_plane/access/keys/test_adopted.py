"""A key that somebody brought along: shown, removed when asked, and always before AWS has to remove its user."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.test import Client
from moto import mock_aws

from control_plane.access.groups.errors import NoCredentials, NoOldKey, OldKeyThere
from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.services.keys import rotate_group_keys, rotate_key
from control_plane.access.groups.services.members import remove_member
from control_plane.access.keys import adopted, schedule
from control_plane.access.keys.models import AdoptedKey
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.aws import AwsFailure
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from control_plane.deployments.signals import pre_execute
from stacks import names
from tests.actors import OPERATOR
from tests.control_plane.principals_on_aws import denied, only_under_paths
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def aws() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("iam", region_name="us-east-1")


@pytest.fixture
def key(aws: Any, group: Group, ada: User) -> AdoptedKey:
    """Ada's key from before, beside one of Cohort's own."""
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    membership = Membership.objects.get(user=ada)
    aws.create_user(UserName=(name := f"cohort-{group.slug}-{membership.username}"), Path=f"/cohort/{group.slug}/")
    aws.create_access_key(UserName=name)
    made = aws.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    return adopted.adopt(membership=membership, access_key_id=made, old_user="adaus-east-1")


def on_aws(aws: Any, key: AdoptedKey) -> bool:
    user = f"cohort-{key.membership.group.slug}-{key.membership.username}"
    return key.access_key_id in {item["AccessKeyId"] for item in aws.list_access_keys(UserName=user)["AccessKeyMetadata"]}


def manifest(group: Group) -> str:
    group.stack.refresh_from_db()
    return StoredManifest.objects.get(stack=group.stack, generation=group.stack.generation).text


@pytest.mark.usefixtures("at_once")
def test_it_is_removed_when_asked_and_only_it(aws: Any, key: AdoptedKey) -> None:
    asked = schedule.request_adopted_key_removal(key, actor=OPERATOR)
    assert asked.state == AdoptedKey.State.REMOVING
    assert on_aws(aws, key)
    assert adopted.remove_requested_keys() == 1
    assert not on_aws(aws, key)
    key.refresh_from_db()
    assert (key.state, key.removed_at is not None) == ("removed", True)
    assert adopted.remove_requested_keys() == 0
    actions = list(AuditEvent.objects.filter(action__startswith="legacy.").values_list("action", flat=True))
    assert sorted(actions) == ["legacy.key_removed", "legacy.remove_key"]
    with pytest.raises(NoOldKey, match="gone already"):
        schedule.request_adopted_key_removal(key, actor=OPERATOR)


def test_one_that_is_gone_on_aws_counts_as_removed(aws: Any, key: AdoptedKey) -> None:
    user = f"cohort-{key.membership.group.slug}-{key.membership.username}"
    aws.delete_access_key(UserName=user, AccessKeyId=key.access_key_id)
    adopted.remove(key)
    key.refresh_from_db()
    assert key.state == AdoptedKey.State.REMOVED


def test_the_stack_names_it_as_long_as_aws_holds_it(key: AdoptedKey) -> None:
    stack = Stack.objects.get(group=key.membership.group)
    assert stack.adopted_key_ids == [key.access_key_id]
    adopted.remove(key)
    stack.refresh_from_db()
    assert stack.adopted_key_ids == []


@pytest.mark.usefixtures("key")
def test_what_must_come_first_and_fails_keeps_aws_from_changing_the_stack(
    group: Group, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: AdoptedKey) -> None:
        raise AwsFailure("AWS is busy.")

    remove_member(group=group, user=ada, actor=OPERATOR)
    monkeypatch.setattr(adopted, "remove", fail)
    with pytest.raises(AwsFailure, match="busy"):
        pre_execute.send(sender=Deployment, stack=group.stack, manifest=manifest(group))


def test_it_stays_to_be_removed_while_aws_does_not_answer(key: AdoptedKey, monkeypatch: pytest.MonkeyPatch) -> None:
    AdoptedKey.objects.update(state=AdoptedKey.State.REMOVING)

    def fail(_: AdoptedKey) -> None:
        raise AwsFailure("AWS is busy.")

    with monkeypatch.context() as busy:
        busy.setattr(adopted, "remove", fail)
        assert adopted.remove_requested_keys() == 0
    assert adopted.remove_requested_keys() == 1


def test_the_member_may_and_a_stranger_may_not(key: AdoptedKey, grace: User) -> None:
    with pytest.raises(PermissionDenied):
        schedule.request_adopted_key_removal(key, actor=Actor(label="grace", channel="web", user=grace))
    member = Actor(label="ada", channel="web", user=key.person)
    assert schedule.request_adopted_key_removal(key, actor=member).state == AdoptedKey.State.REMOVING


def test_it_stays_until_there_is_a_key_beside_it(key: AdoptedKey) -> None:
    stack = key.membership.group.stack
    stack.deployed_generation = 1
    stack.save()
    with pytest.raises(NoOldKey, match="no new key yet"):
        schedule.request_adopted_key_removal(key, actor=OPERATOR)


def test_the_members_own_key_is_not_replaced_meanwhile(group: Group, ada: User, key: AdoptedKey) -> None:
    with pytest.raises(OldKeyThere, match="from before Cohort"):
        rotate_key(group=group, user=ada, actor=OPERATOR)
    with pytest.raises(NoCredentials, match="from before Cohort"):
        rotate_group_keys(group=group, actor=OPERATOR)
    adopted.remove(key)
    assert rotate_key(group=group, user=ada, actor=OPERATOR)


def test_it_goes_before_its_user_does_and_not_sooner(aws: Any, group: Group, ada: User, grace: User, key: AdoptedKey) -> None:
    MembershipFactory.create(group=group, user=grace, keys=True)
    adopted.remove_before_deploying(group.stack, manifest(group))
    assert on_aws(aws, key)
    remove_member(group=group, user=ada, actor=OPERATOR)
    adopted.remove_before_deploying(group.stack, manifest(group))
    adopted.remove_before_deploying(group.stack, manifest(group))
    assert not on_aws(aws, key)


def test_the_terminal_lists_and_removes(key: AdoptedKey, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("legacy", "keys", "list", "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["access_key_id"], row["email"], row["state"]) == (key.access_key_id, "ada@example.org", "in-use")
    call_command("legacy", "keys", "remove", key.access_key_id)
    assert "removing" in capsys.readouterr().out


def test_the_member_sees_it_beside_their_own_and_removes_it(
    group: Group, ada: User, key: AdoptedKey, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    browser = Client()
    browser.force_login(ada, backend="allauth.account.auth_backends.AuthenticationBackend")
    page = f"/groups/{group.slug}/credentials/"
    with django_assert_max_num_queries(14):
        shown = browser.get(page).content.decode()
    assert key.access_key_id in shown
    assert "Remove my key from before" in shown
    assert browser.post(f"{page}key/brought/").status_code == 302
    assert "being removed" in browser.get(page).content.decode()
    key.refresh_from_db()
    assert key.state == AdoptedKey.State.REMOVING


def test_one_whose_user_is_gone_is_done_with_and_one_that_may_not_be_removed_is_not(
    aws: Any, key: AdoptedKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the worker, which may act under paths alone, both are denied."""
    user = names.user(key.membership.group.slug, key.membership.username)
    with monkeypatch.context() as patched:
        refuse(patched, "DeleteAccessKey")
        with pytest.raises(AwsFailure, match="iam:DeleteAccessKey"):
            adopted.remove(key)
    for held in aws.list_access_keys(UserName=user)["AccessKeyMetadata"]:
        aws.delete_access_key(UserName=user, AccessKeyId=held["AccessKeyId"])
    aws.delete_user(UserName=user)
    only_under_paths(monkeypatch)
    adopted.remove(key)
    key.refresh_from_db()
    assert key.state == AdoptedKey.State.REMOVED


def refuse(monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def answer(self: Any, operation: str, parameters: Any) -> Any:
        if operation == refused:
            raise denied(operation)
        return call(self, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
