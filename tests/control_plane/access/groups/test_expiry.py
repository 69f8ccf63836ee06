"""Memberships that end by themselves, and moves from one group to another without a moment with neither."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from control_plane.access.groups.errors import AlreadyMember, AlreadyMoving, InvalidEnd, NotMember
from control_plane.access.groups.models import Access, AccessState, Analysis, Group, Membership
from control_plane.access.groups.permissions import managed_groups, manages, manages_any
from control_plane.access.groups.services.credentials import find_membership
from control_plane.access.groups.services.expiry import end_due, remind_of_ends, set_end
from control_plane.access.groups.services.members import remove_member
from control_plane.access.groups.services.transfers import finish_transfers, move_member
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.models import Deployment
from control_plane.notifications.models import Notice
from control_plane.research.storage.group_folder import find_group_folder
from tests.actors import OPERATOR
from tests.factories import GrantFactory, GroupFactory, MembershipFactory, UserFactory, settle


def a_day(days: float) -> datetime:
    return timezone.now() + timedelta(days=days)


@pytest.fixture
def other(db: None) -> Group:
    return GroupFactory.create(slug="other-lab", name="Other Lab")


@pytest.fixture
def inside(group: Group, ada: User) -> Membership:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    return Membership.objects.get(group=group, user=ada)


def as_person(user: User) -> Actor:
    return Actor(label=user.email, channel="web", user=user)


def test_a_membership_ends_on_its_day_and_not_before(inside: Membership, group: Group, ada: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=grace, deployed=True)
    set_end(group=group, user=ada, ends_at=a_day(1), actor=OPERATOR)
    assert end_due() == 0
    Membership.objects.filter(pk=inside.pk).update(ends_at=a_day(-0.01))
    assert end_due() == 1
    inside.refresh_from_db()
    assert inside.access_state == AccessState.REMOVING
    assert Membership.objects.wanted().get(group=group).user == grace
    assert AuditEvent.objects.filter(action="member.remove", actor="system:terms").exists()
    assert end_due() == 0


def test_whose_time_is_over_gets_nothing_and_manages_nothing_though_no_worker_took_it_away(
    inside: Membership, group: Group, ada: User, epi: Analysis
) -> None:
    """The sweep may be late, or stand still with the worker."""
    settle(epi.stack)
    GrantFactory.create(group=group, analysis=epi, read_only=True, deployed=True)
    Membership.objects.filter(pk=inside.pk).update(is_manager=True)
    assert (
        find_membership(group, ada)
        == find_group_folder(group_slug=group.slug, analysis_slug=epi.slug, user=ada).membership
        == inside
    )
    assert manages(ada, group)
    assert manages_any(ada)
    assert list(managed_groups(ada)) == [group]
    Membership.objects.filter(pk=inside.pk).update(ends_at=a_day(-0.01))
    with pytest.raises(NotMember, match="ended on"):
        find_membership(group, ada)
    with pytest.raises(NotMember, match="ended on"):
        find_group_folder(group_slug=group.slug, analysis_slug=epi.slug, user=ada)
    assert not manages(ada, group)
    assert not manages_any(ada)
    assert list(managed_groups(ada)) == []


def test_many_that_end_together_are_one_deployment(group: Group) -> None:
    users = UserFactory.create_batch(30)
    for user in users:
        MembershipFactory.create(group=group, user=user)
    settle(group.stack)
    before = Deployment.objects.count()
    Membership.objects.filter(group=group).update(ends_at=a_day(-1))
    assert end_due() == 30
    assert Deployment.objects.count() == before + 1


@pytest.mark.parametrize(("days", "says"), [(-1, "has passed"), (4000, "ten years")])
def test_an_end_that_makes_no_sense_is_refused(days: int, says: str, inside: Membership, group: Group, ada: User) -> None:
    with pytest.raises(InvalidEnd, match=f"{says}.*Nothing was changed"):
        set_end(group=group, user=ada, ends_at=a_day(days), actor=OPERATOR)
    inside.refresh_from_db()
    assert inside.ends_at is None


def test_only_who_decides_about_the_group_sets_an_end(inside: Membership, group: Group, ada: User, grace: User) -> None:
    for user in (ada, grace):
        with pytest.raises(PermissionDenied):
            set_end(group=group, user=user, ends_at=a_day(5), actor=as_person(user))
    with pytest.raises(NotMember):
        set_end(group=group, user=grace, ends_at=a_day(5), actor=OPERATOR)


def test_member_and_managers_are_reminded_once_and_again_of_another_day(
    inside: Membership, group: Group, ada: User, grace: User
) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True)
    set_end(group=group, user=ada, ends_at=a_day(30), actor=OPERATOR)
    assert remind_of_ends() == 0
    set_end(group=group, user=ada, ends_at=a_day(5), actor=OPERATOR)
    assert (remind_of_ends(), remind_of_ends()) == (1, 0)
    told = list(Notice.objects.filter(event=Notice.Event.ABOUT_GROUP))
    assert {notice.recipient for notice in told} == {ada.email, grace.email}
    assert all("Example Lab" in notice.subject for notice in told)
    set_end(group=group, user=ada, ends_at=a_day(6), actor=OPERATOR)
    assert remind_of_ends() == 1
    assert Notice.objects.filter(event=Notice.Event.ABOUT_GROUP).count() == 4


def test_who_moves_has_both_until_the_new_one_is_in_force(inside: Membership, group: Group, other: Group, ada: User) -> None:
    ends_at = datetime(2099, 1, 1, tzinfo=UTC)
    Membership.objects.filter(pk=inside.pk).update(ends_at=ends_at)
    settle(other.stack)
    move_member(source=group, target=other, user=ada, actor=OPERATOR)
    assert finish_transfers() == 0
    inside.refresh_from_db()
    new = Membership.objects.get(group=other, user=ada)
    assert (inside.access_state, new.access_state) == (AccessState.ACTIVE, AccessState.ADDING)
    assert (new.access, new.ends_at) == (Access.KEYS, ends_at)
    settle(other.stack)
    assert (finish_transfers(), finish_transfers()) == (1, 0)
    inside.refresh_from_db()
    new = Membership.objects.get(pk=new.pk)
    assert (inside.access_state, new.access_state) == (AccessState.REMOVING, AccessState.ACTIVE)


def test_who_is_not_to_be_in_the_new_group_after_all_stays_in_the_old(
    inside: Membership, group: Group, other: Group, ada: User
) -> None:
    move_member(source=group, target=other, user=ada, actor=OPERATOR)
    remove_member(group=other, user=ada, actor=OPERATOR)
    settle(other.stack)
    assert finish_transfers() == 0
    inside.refresh_from_db()
    assert (inside.replaced_by, inside.access_state) == (None, AccessState.ACTIVE)


def test_moves_that_make_no_sense_are_refused(inside: Membership, group: Group, other: Group, ada: User, grace: User) -> None:
    with pytest.raises(NotMember):
        move_member(source=group, target=other, user=grace, actor=OPERATOR)
    with pytest.raises(AlreadyMember):
        move_member(source=group, target=group, user=ada, actor=OPERATOR)
    move_member(source=group, target=other, user=ada, actor=OPERATOR)
    with pytest.raises(AlreadyMoving):
        move_member(source=group, target=other, user=ada, actor=OPERATOR)
    assert Membership.objects.wanted().filter(user=ada).count() == 2


def test_a_manager_moves_people_between_their_own_groups_alone(
    inside: Membership, group: Group, other: Group, ada: User, grace: User
) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True)
    with pytest.raises(PermissionDenied):
        move_member(source=group, target=other, user=ada, actor=as_person(grace))
    MembershipFactory.create(group=other, user=grace, manager=True)
    with pytest.raises(PermissionDenied, match="does not allow access keys"):
        move_member(source=group, target=other, user=ada, actor=as_person(grace))
    move_member(source=group, target=other, user=ada, actor=as_person(grace), access=Access.FEDERATED)
    assert Membership.objects.get(group=other, user=ada).access == Access.FEDERATED
