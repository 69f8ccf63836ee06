"""Replacing a member's access key: by whom, what AWS is told, and when the new one is there."""

import json

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command

from control_plane.access.groups import errors
from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.services.keys import NO_OVERLAP, key_is_in_force, key_made_at, rotate_key
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.errors import TooOften
from control_plane.deployments.models import StoredManifest
from tests.factories import MembershipFactory, settle

pytestmark = pytest.mark.django_db


def on_the_web(user: User) -> Actor:
    return Actor(label=user.email, channel="web", user=user)


@pytest.fixture
def holder(group: Group, ada: User) -> User:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    return ada


def membership(user: User) -> Membership:
    found: Membership = Membership.objects.wanted().select_related("group__stack").get(user=user)
    return found


def test_a_rotated_key_is_a_new_serial_in_the_manifest_and_on_record(group: Group, holder: User) -> None:
    assert key_is_in_force(membership(holder))
    first = key_made_at(membership(holder))
    deployment = rotate_key(group=group, user=holder, actor=on_the_web(holder))
    manifest = json.loads(StoredManifest.objects.get(stack=group.stack, generation=deployment.generation).text)
    assert [member["key_serial"] for member in manifest["members"]] == [2]
    assert AuditEvent.objects.get(action="member.rotate_key").details["after"]["key_serial"] == 2
    assert not key_is_in_force(membership(holder))
    settle(group.stack)
    assert key_is_in_force(membership(holder))
    made = key_made_at(membership(holder))
    assert first is not None
    assert made is not None
    assert made > first


def test_a_key_that_is_being_made_is_not_replaced_again(group: Group, holder: User) -> None:
    rotate_key(group=group, user=holder, actor=on_the_web(holder))
    with pytest.raises(errors.NoCredentials, match="being made already"):
        rotate_key(group=group, user=holder, actor=on_the_web(holder))
    assert membership(holder).key_serial == 2


def test_managers_and_administrators_may_and_other_members_may_not(
    group: Group, holder: User, grace: User, administrator: User, operator: Actor
) -> None:
    MembershipFactory.create(group=group, user=grace, deployed=True)
    with pytest.raises(PermissionDenied):
        rotate_key(group=group, user=holder, actor=on_the_web(grace))
    Membership.objects.filter(user=grace).update(is_manager=True)
    for serial, actor in enumerate((on_the_web(grace), on_the_web(administrator), operator), start=2):
        rotate_key(group=group, user=holder, actor=actor, overlap=NO_OVERLAP)
        settle(group.stack)
        assert membership(holder).key_serial == serial


def test_who_has_no_key_is_told_so(group: Group, ada: User, grace: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada)
    with pytest.raises(errors.NoCredentials, match="no access key"):
        rotate_key(group=group, user=ada, actor=operator)
    with pytest.raises(errors.NotMember):
        rotate_key(group=group, user=grace, actor=operator)


def test_keys_are_not_replaced_all_day_long(group: Group, holder: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control_plane.access.groups.services.keys.MAX_ROTATIONS_PER_HOUR", 1)
    rotate_key(group=group, user=holder, actor=on_the_web(holder))
    settle(group.stack)
    with pytest.raises(TooOften):
        rotate_key(group=group, user=holder, actor=on_the_web(holder))


def test_an_operator_rotates_at_the_terminal(group: Group, holder: User, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("member", "rotate", "example-lab", holder.email, "--json")
    member = json.loads(capsys.readouterr().out)["member"]
    assert (member["email"], member["key_serial"], member["previous_key"]) == (holder.email, 2, "active")
    with pytest.raises(CommandError, match="being made already"):
        call_command("member", "rotate", "example-lab", holder.email)
