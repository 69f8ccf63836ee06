"""Handing out credentials: to whom, when, and that it is on record."""

import json
from collections.abc import Iterator

import boto3
import pytest
from django.core.exceptions import PermissionDenied
from moto import mock_aws

from control_plane.accounts.models import User
from control_plane.audit.actors import Actor
from control_plane.audit.models import AuditEvent
from control_plane.groups import errors
from control_plane.groups.models import Access, Group, Membership
from control_plane.groups.services.credentials import member_credentials
from control_plane.groups.services.members import add_member, remove_member
from tests.control_plane.conftest import settle

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def aws() -> Iterator[None]:
    with mock_aws():
        yield


def test_a_federated_member_gets_a_session_that_ends(group: Group, ada: User, operator: Actor) -> None:
    add_member(group=group, user=ada, access=Access.FEDERATED, actor=operator)
    settle(group.stack)
    document = member_credentials(group=group, user=ada, actor=operator).as_credential_process()
    assert set(document) == {"Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
    assert document["Expiration"].endswith("Z")
    event = AuditEvent.objects.get(action="member.credentials")
    assert event.details == {"access": "federated", "access_key_id": document["AccessKeyId"]}


def test_a_key_holder_gets_their_key_and_the_record_does_not_hold_it(group: Group, ada: User, operator: Actor) -> None:
    add_member(group=group, user=ada, access=Access.KEYS, actor=operator)
    settle(group.stack)
    username = Membership.objects.get().username
    key = {"AccessKeyId": "AKIAEXAMPLE", "SecretAccessKey": "a-very-secret-key"}
    boto3.client("secretsmanager").create_secret(Name=f"cohort/example-lab/{username}", SecretString=json.dumps(key))
    credentials = member_credentials(group=group, user=ada, actor=operator)
    assert credentials.as_credential_process() == {"Version": 1, **key}
    assert "a-very-secret-key" not in repr(credentials)
    assert "a-very-secret-key" not in json.dumps(list(AuditEvent.objects.values()), default=str)


def test_nobody_gets_any_before_aws_is_ready(group: Group, ada: User, operator: Actor) -> None:
    add_member(group=group, user=ada, access=Access.FEDERATED, actor=operator)
    with pytest.raises(errors.NoCredentials, match="not in force yet"):
        member_credentials(group=group, user=ada, actor=operator)


def test_who_is_being_removed_gets_none(group: Group, ada: User, operator: Actor) -> None:
    add_member(group=group, user=ada, access=Access.FEDERATED, actor=operator)
    settle(group.stack)
    remove_member(group=group, user=ada, actor=operator)
    with pytest.raises(errors.NotMember):
        member_credentials(group=group, user=ada, actor=operator)


def test_who_is_inactive_gets_none(group: Group, ada: User, operator: Actor) -> None:
    add_member(group=group, user=ada, access=Access.FEDERATED, actor=operator)
    settle(group.stack)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    ada.refresh_from_db()
    with pytest.raises(errors.NoCredentials, match="not active"):
        member_credentials(group=group, user=ada, actor=operator)


def test_another_member_may_not_ask_for_them(group: Group, ada: User, grace: User, operator: Actor) -> None:
    for user in (ada, grace):
        add_member(group=group, user=user, access=Access.FEDERATED, actor=operator)
    settle(group.stack)
    with pytest.raises(PermissionDenied):
        member_credentials(group=group, user=ada, actor=Actor(label=grace.email, channel="web", user=grace))
    assert member_credentials(group=group, user=grace, actor=Actor(label=grace.email, channel="web", user=grace))


def test_a_secret_that_aws_does_not_have_is_said_so(group: Group, ada: User, operator: Actor) -> None:
    add_member(group=group, user=ada, access=Access.KEYS, actor=operator)
    settle(group.stack)
    with pytest.raises(errors.NoCredentials, match="Nothing was changed"):
        member_credentials(group=group, user=ada, actor=operator)
