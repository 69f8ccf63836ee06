"""Two keys side by side for a while: what each step asks of AWS, when it is due, who may, and who is told."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.utils import timezone

from control_plane.access.groups import errors
from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.groups import request_group_deployment
from control_plane.access.groups.services.keys import (
    NO_OVERLAP,
    OldKey,
    end_overlap,
    remove_old_keys,
    rotate_group_keys,
    rotate_key,
)
from control_plane.access.groups.services.members import add_members, remove_member
from control_plane.access.keys.replaced_keys import end_overlaps, remind_of_old_keys
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.config import config
from control_plane.base.errors import LimitReached
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from control_plane.notifications.models import Notice
from tests.actors import OPERATOR, actor_of
from tests.factories import GroupFactory, MembershipFactory, UserFactory, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def holder(group: Group, ada: User) -> User:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    return ada


@pytest.fixture
def rotated(group: Group, holder: User) -> User:
    """A holder whose old key goes on beside the new one, which AWS holds."""
    rotate_key(group=group, user=holder, actor=actor_of(holder))
    settle(group.stack)
    return holder


def membership(user: User) -> Membership:
    found: Membership = Membership.objects.wanted().get(user=user)
    return found


def left(user: User) -> timedelta:
    """How long the old key stays as it is."""
    until = membership(user).previous_key_until
    assert until is not None
    return until - timezone.now()


def wanted(group: Group) -> list[tuple[int, str | None]]:
    """What the newest manifest says of each member: the key's serial, and the old key's state."""
    text = StoredManifest.objects.filter(stack=group.stack).latest("generation").text
    return [(member["key_serial"], member["previous_key"]) for member in json.loads(text)["members"]]


def time_passes(user: User) -> None:
    Membership.objects.filter(user=user).update(previous_key_until=timezone.now() - timedelta(seconds=1))


def about(word: str) -> list[Notice]:
    return [notice for notice in Notice.objects.filter(event=Notice.Event.ABOUT_GROUP) if word in notice.subject]


def test_the_old_key_goes_on_then_is_inactive_then_gone(group: Group, rotated: User) -> None:
    assert wanted(group) == [(2, "active")]
    assert left(rotated) > timedelta(days=6.9)
    assert end_overlaps() == 0
    time_passes(rotated)
    assert (end_overlaps(), end_overlaps()) == (1, 0)
    assert wanted(group) == [(2, "inactive")]
    assert timedelta(days=config().key_inactive_days - 0.1) < left(rotated) <= timedelta(days=config().key_inactive_days)
    settle(group.stack)
    time_passes(rotated)
    assert (end_overlaps(), end_overlaps()) == (1, 0)
    assert wanted(group) == [(2, None)]
    assert membership(rotated).previous_key_until is None
    steps = AuditEvent.objects.filter(action="member.old_key", actor="system:keys").order_by("pk")
    told = [(step.details["before"]["previous_key"], step.details["after"]["previous_key"]) for step in steps]
    assert told == [("active", "inactive"), ("inactive", "")]


def test_without_an_overlap_there_is_no_old_key(group: Group, holder: User) -> None:
    rotate_key(group=group, user=holder, actor=OPERATOR, overlap=NO_OVERLAP)
    assert wanted(group) == [(2, None)]
    assert end_overlaps() == 0


def test_no_old_key_ends_before_the_new_one_is_there(group: Group, holder: User) -> None:
    rotate_key(group=group, user=holder, actor=OPERATOR)
    time_passes(holder)
    assert end_overlaps() == 0
    settle(group.stack)
    assert end_overlaps() == 0
    assert left(holder) > timedelta(hours=20)


def test_many_old_keys_of_a_group_end_in_one_deployment(group: Group) -> None:
    users = UserFactory.create_batch(12)
    add_members(group=group, users=users, access=Access.KEYS, actor=OPERATOR)
    settle(group.stack)
    rotate_group_keys(group=group, actor=OPERATOR)
    settle(group.stack)
    Membership.objects.update(previous_key_until=timezone.now())
    before = Deployment.objects.count()
    assert end_overlaps() == 12
    assert Deployment.objects.count() == before + 1


def test_one_group_that_cannot_be_changed_does_not_hinder_another(
    group: Group, rotated: User, grace: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = GroupFactory.create(slug="other-lab", name="Other Lab")
    MembershipFactory.create(group=other, user=grace, keys=True, deployed=True)
    rotate_key(group=other, user=grace, actor=OPERATOR)
    settle(other.stack)
    for user in (rotated, grace):
        time_passes(user)

    def refusing(one: Group, *arguments: Any) -> Deployment:
        if one.slug == "example-lab":
            raise LimitReached("Too much.")
        return request_group_deployment(one, *arguments)

    monkeypatch.setattr("control_plane.access.keys.replaced_keys.request_group_deployment", refusing)
    assert end_overlaps() == 1
    assert (membership(rotated).previous_key, membership(grace).previous_key) == ("active", "inactive")


def test_a_third_key_is_refused_with_what_to_do(group: Group, rotated: User) -> None:
    with pytest.raises(errors.OldKeyThere, match="Nothing was changed; remove the old key first"):
        rotate_key(group=group, user=rotated, actor=OPERATOR)
    end_overlap(group=group, user=rotated, actor=OPERATOR, wish=OldKey.REMOVE)
    # AWS holds it until that is deployed, and would make no third beside it.
    with pytest.raises(errors.OldKeyThere, match="is being removed"):
        rotate_key(group=group, user=rotated, actor=OPERATOR)
    settle(group.stack)
    rotate_key(group=group, user=rotated, actor=OPERATOR)
    assert membership(rotated).key_serial == 3


def test_an_old_key_is_stopped_brought_back_and_removed(group: Group, rotated: User) -> None:
    me = actor_of(rotated)
    end_overlap(group=group, user=rotated, actor=me, wish=OldKey.STOP)
    assert wanted(group) == [(2, "inactive")]
    with pytest.raises(errors.NoOldKey, match="inactive already"):
        end_overlap(group=group, user=rotated, actor=me, wish=OldKey.STOP)
    end_overlap(group=group, user=rotated, actor=me, wish=OldKey.BRING_BACK, overlap=timedelta(days=3))
    assert wanted(group) == [(2, "active")]
    assert timedelta(days=2.9) < left(rotated) <= timedelta(days=3)
    with pytest.raises(errors.NoOldKey, match="active already"):
        end_overlap(group=group, user=rotated, actor=me, wish=OldKey.BRING_BACK)
    end_overlap(group=group, user=rotated, actor=me)
    assert wanted(group) == [(2, None)]
    for wish in OldKey:
        with pytest.raises(errors.NoOldKey, match="There is no old key"):
            end_overlap(group=group, user=rotated, actor=me, wish=wish)


@pytest.mark.parametrize("days", [-1, 91, 100_000])
def test_times_that_make_no_sense_are_refused(days: int, group: Group, rotated: User) -> None:
    for refused in (
        lambda: rotate_key(group=group, user=rotated, actor=OPERATOR, overlap=timedelta(days=days)),
        lambda: rotate_group_keys(group=group, actor=OPERATOR, overlap=timedelta(days=days)),
        lambda: end_overlap(group=group, user=rotated, actor=OPERATOR, wish=OldKey.BRING_BACK, overlap=timedelta(days=days)),
    ):
        with pytest.raises(errors.InvalidOverlap, match="Nothing was changed"):
            refused()


def test_who_may(group: Group, rotated: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=grace, deployed=True)
    for refused in (
        lambda: end_overlap(group=group, user=rotated, actor=actor_of(grace)),
        lambda: rotate_group_keys(group=group, actor=actor_of(grace)),
        lambda: rotate_group_keys(group=group, actor=actor_of(rotated)),
    ):
        with pytest.raises(PermissionDenied):
            refused()
    Membership.objects.filter(user=grace).update(is_manager=True)
    end_overlap(group=group, user=rotated, actor=actor_of(grace))
    settle(group.stack)
    assert rotate_group_keys(group=group, actor=actor_of(grace)).replaced == 1


def test_a_groups_keys_are_replaced_in_one_deployment_and_who_is_left_out_is_named(group: Group, rotated: User) -> None:
    users = UserFactory.create_batch(3)
    add_members(group=group, users=users[:2], access=Access.KEYS, actor=OPERATOR)
    settle(group.stack)
    add_members(group=group, users=users[2:], access=Access.KEYS, actor=OPERATOR)
    before = StoredManifest.objects.filter(stack=group.stack).count()
    begun = rotate_group_keys(group=group, actor=OPERATOR, overlap=NO_OVERLAP)
    assert begun.replaced == 2
    assert set(begun.left_out) == {rotated.email, users[2].email}
    assert "remove the old key first" in begun.left_out[rotated.email]
    assert StoredManifest.objects.filter(stack=group.stack).count() == before + 1
    assert {membership(user).key_serial for user in users[:2]} == {2}
    assert AuditEvent.objects.filter(action="group.rotate_key").count() == 2
    with pytest.raises(errors.NoCredentials, match="No key was replaced"):
        rotate_group_keys(group=group, actor=OPERATOR)


def test_old_keys_of_a_group_are_removed_in_one_deployment(group: Group, rotated: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=grace, keys=True, deployed=True)
    rotate_key(group=group, user=grace, actor=OPERATOR)
    settle(group.stack)
    with pytest.raises(PermissionDenied):
        remove_old_keys(group=group, actor=actor_of(grace))
    deployment, removed = remove_old_keys(group=group, actor=OPERATOR)
    assert (removed, deployment.changes.get().summary) == (2, "Removing 2 old access keys of Example Lab")
    assert wanted(group) == [(2, None), (2, None)]
    settle(group.stack)
    assert rotate_group_keys(group=group, actor=OPERATOR).replaced == 2


def test_a_group_without_keys_says_so(group: Group) -> None:
    with pytest.raises(errors.NoCredentials, match="Nobody in Example Lab holds an access key"):
        rotate_group_keys(group=group, actor=OPERATOR)


def test_a_groups_rotation_leaves_room_for_single_ones(group: Group, grace: User) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True)
    users = UserFactory.create_batch(12)
    add_members(group=group, users=users, access=Access.KEYS, actor=OPERATOR)
    settle(group.stack)
    rotate_group_keys(group=group, actor=actor_of(grace), overlap=NO_OVERLAP)
    settle(group.stack)
    rotate_key(group=group, user=users[0], actor=actor_of(grace))


def test_a_member_is_told_when_somebody_else_replaces_their_key(group: Group, holder: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True, deployed=True)
    rotate_key(group=group, user=holder, actor=actor_of(holder), overlap=NO_OVERLAP)
    settle(group.stack)
    assert about("is being replaced") == []
    rotate_key(group=group, user=holder, actor=actor_of(grace))
    (told,) = about("is being replaced")
    assert told.recipient == holder.email
    assert "works until" in told.paragraphs[0]
    assert told.path == "/groups/example-lab/credentials/"


def test_a_member_is_told_once_before_the_old_key_stops(group: Group, rotated: User) -> None:
    assert remind_of_old_keys() == 0
    Membership.objects.filter(user=rotated).update(previous_key_until=timezone.now() + timedelta(days=1))
    assert (remind_of_old_keys(), remind_of_old_keys()) == (1, 0)
    (told,) = about("stops working")
    assert told.recipient == rotated.email
    end_overlap(group=group, user=rotated, actor=OPERATOR, wish=OldKey.STOP)
    assert remind_of_old_keys() == 0
    end_overlap(group=group, user=rotated, actor=OPERATOR, wish=OldKey.BRING_BACK, overlap=timedelta(days=1))
    assert remind_of_old_keys() == 1


def test_who_was_removed_has_no_old_key_to_end(group: Group, rotated: User) -> None:
    remove_member(group=group, user=rotated, actor=OPERATOR)
    Membership.objects.filter(user=rotated).update(previous_key_until=timezone.now())
    assert (end_overlaps(), remind_of_old_keys()) == (0, 0)
    assert wanted(group) == []


def test_a_member_without_a_key_has_no_old_one(group: Group, grace: User) -> None:
    with pytest.raises(errors.NotMember):
        end_overlap(group=group, user=grace, actor=OPERATOR)
    MembershipFactory.create(group=group, user=grace)
    with pytest.raises(errors.NoCredentials):
        end_overlap(group=group, user=grace, actor=OPERATOR)
    with pytest.raises(errors.NoCredentials):
        rotate_group_keys(group=group, actor=OPERATOR)


def test_the_terminal_does_it_all(group: Group, holder: User, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> Any:
        call_command(*words, "--json")
        Stack.objects.filter(pk=group.stack_id).update(deployed_generation=group.stack.generation)
        settle(group.stack)
        return json.loads(capsys.readouterr().out)

    assert run("group", "rotate-keys", "example-lab", "--overlap-days", "3")["replaced"] == 1
    assert run("member", "old-key", "example-lab", holder.email, "stop")["member"]["previous_key"] == "inactive"
    run("member", "old-key", "example-lab", holder.email, "bring-back", "--overlap-days", "2")
    run("member", "old-key", "example-lab", holder.email, "remove")
    run("member", "rotate", "example-lab", holder.email)
    assert run("group", "remove-old-keys", "example-lab")["removed"] == 1
    run("member", "rotate", "example-lab", holder.email, "--overlap-days", "0")
    assert (membership(holder).key_serial, membership(holder).previous_key) == (4, "")
    for days in ("-1", "400"):
        with pytest.raises(CommandError, match="Nothing was changed"):
            call_command("member", "rotate", "example-lab", holder.email, f"--overlap-days={days}")
    for days in ("many", "9" * 12):
        with pytest.raises(CommandError, match="no number of days"):
            call_command("member", "rotate", "example-lab", holder.email, f"--overlap-days={days}")


def test_a_system_actor_s_label_is_not_shown_to_a_member(group: Group, holder: User) -> None:
    rotate_key(group=group, user=holder, actor=Actor.at_terminal())
    (told,) = about("is being replaced")
    assert "terminal:" not in " ".join(told.paragraphs)
