"""What a group's managers may do in their group and nowhere else, and that a group does not lose its last one by accident."""

import pytest
from django.core.exceptions import PermissionDenied

from control_plane.access.groups import errors
from control_plane.access.groups.models import Access, Group, JoinCode, JoinRequest, Membership
from control_plane.access.groups.permissions import decidable_requests, manages
from control_plane.access.groups.services.groups import set_allows_keys
from control_plane.access.groups.services.join_codes import make_join_code, rotate_join_code, withdraw_join_code
from control_plane.access.groups.services.joining import approve, decline
from control_plane.access.groups.services.members import add_member, leave, leave_all, remove_member, remove_members, set_manager
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.errors import LimitReached
from control_plane.deployments.models import Deployment
from tests.actors import actor_of, client_of
from tests.control_plane.access.groups.test_members import manifest_of
from tests.factories import GroupFactory, JoinRequestFactory, MembershipFactory, UserFactory, join_code_for

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(group: Group, grace: User) -> User:
    return MembershipFactory.create(group=group, user=grace, manager=True, deployed=True).user


@pytest.fixture
def other(db: None) -> Group:
    return GroupFactory.create(slug="other-lab", name="Other Lab")


def is_in(group: Group, user: User) -> bool:
    return Membership.objects.wanted().filter(group=group, user=user).exists()


def test_it_works(group: Group, manager: User, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    before = group.stack.generation
    set_manager(group=group, user=ada, is_manager=True, actor=actor_of(manager))
    assert manages(ada, group)
    group.stack.refresh_from_db()
    # AWS is not concerned.
    assert group.stack.generation == before
    event = AuditEvent.objects.get(action="member.manager")
    assert (event.actor, event.target, event.details["after"]) == (
        manager.email,
        "ada@example.org in example-lab",
        {"is_manager": True},
    )
    remove_member(group=group, user=manager, actor=actor_of(ada))
    assert not manages(manager, group)


def test_a_manager_decides_in_their_group_and_in_no_other(group: Group, other: Group, manager: User, ada: User) -> None:
    for decide in (approve, decline):
        with pytest.raises(PermissionDenied):
            decide(JoinRequestFactory.create(user=ada, group=other), actor=actor_of(manager))
        JoinRequest.objects.all().delete()
    mine, theirs = JoinRequestFactory.create(user=ada, group=group), JoinRequestFactory.create(user=ada, group=other)
    assert list(decidable_requests(manager)) == [mine]
    assert theirs not in decidable_requests(manager)
    approve(mine, actor=actor_of(manager))
    assert is_in(group, ada)
    assert not is_in(other, ada)


def test_a_manager_s_codes_are_their_group_s(group: Group, other: Group, manager: User) -> None:
    actor = actor_of(manager)
    code, _ = make_join_code(group=group, actor=actor)
    code, _ = rotate_join_code(code=code, actor=actor)
    withdraw_join_code(code=code, actor=actor)
    join_code_for(other)
    theirs = JoinCode.objects.get(group=other)
    for attempt in (
        lambda: make_join_code(group=other, actor=actor),
        lambda: rotate_join_code(code=theirs, actor=actor),
        lambda: withdraw_join_code(code=theirs, actor=actor),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    theirs.refresh_from_db()
    assert theirs.withdrawn_at is None
    assert JoinCode.objects.filter(group=other).count() == 1


def test_a_group_has_at_most_twenty_codes_that_work(group: Group) -> None:
    for _ in range(20):
        join_code_for(group)
    with pytest.raises(LimitReached):
        join_code_for(group)


def test_keys_are_given_where_the_group_allows_them(group: Group, manager: User, ada: User, administrator: User) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    with pytest.raises(PermissionDenied, match="does not allow access keys"):
        approve(request, actor=actor_of(manager), access=Access.KEYS)
    request.refresh_from_db()
    assert request.state == "waiting"
    with pytest.raises(PermissionDenied):
        set_allows_keys(group=group, allows=True, actor=actor_of(manager))
    set_allows_keys(group=group, allows=True, actor=actor_of(administrator))
    approve(request, actor=actor_of(manager), access=Access.KEYS)
    assert Membership.objects.get(group=group, user=ada).access == "keys"


def test_a_manager_adds_nobody_who_did_not_ask(group: Group, manager: User, ada: User) -> None:
    with pytest.raises(PermissionDenied):
        add_member(group=group, user=ada, access=Access.FEDERATED, actor=actor_of(manager))


def test_a_plain_member_decides_nothing(group: Group, ada: User, manager: User, administrator: User) -> None:
    actor = actor_of(MembershipFactory.create(group=group, user=ada, deployed=True).user)
    lise = UserFactory.create(email="lise@example.org")
    request = JoinRequestFactory.create(user=lise, group=group)
    for attempt in (
        lambda: approve(request, actor=actor),
        lambda: decline(request, actor=actor),
        lambda: make_join_code(group=group, actor=actor),
        lambda: remove_member(group=group, user=manager, actor=actor),
        lambda: set_manager(group=group, user=ada, is_manager=True, actor=actor),
        lambda: set_allows_keys(group=group, allows=True, actor=actor),
        lambda: leave(group=group, user=manager, actor=actor),
        lambda: leave_all(user=manager, actor=actor),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    assert is_in(group, manager)
    assert not is_in(group, lise)


def test_who_is_removed_or_inactive_manages_no_more(group: Group, manager: User, ada: User, operator: Actor) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    User.objects.filter(pk=manager.pk).update(is_active=False)
    manager.refresh_from_db()
    assert not manages(manager, group)
    with pytest.raises(PermissionDenied):
        approve(request, actor=actor_of(manager))
    User.objects.filter(pk=manager.pk).update(is_active=True)
    remove_member(group=group, user=manager, actor=operator)
    # At once, not when AWS has let go.
    manager.refresh_from_db()
    with pytest.raises(PermissionDenied):
        approve(request, actor=actor_of(manager))


def test_the_last_manager_is_kept_from_managers_but_not_from_administrators(
    group: Group, manager: User, ada: User, administrator: User
) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    actor = actor_of(manager)
    for attempt in (
        lambda: remove_member(group=group, user=manager, actor=actor),
        lambda: remove_members(group=group, users=[ada, manager], actor=actor),
        lambda: set_manager(group=group, user=manager, is_manager=False, actor=actor),
    ):
        with pytest.raises(errors.LastManager, match="Nothing was changed"):
            attempt()
    assert is_in(group, ada)
    remove_member(group=group, user=ada, actor=actor)
    remove_member(group=group, user=manager, actor=actor_of(administrator))
    assert not is_in(group, manager)


def test_the_last_manager_may_leave(group: Group, manager: User) -> None:
    deployment = leave(group=group, user=manager, actor=actor_of(manager))
    assert not is_in(group, manager)
    assert deployment.changes.order_by("-pk")[0].summary == "Taking grace@example.org’s access to Example Lab away"
    with pytest.raises(errors.NotMember):
        leave(group=group, user=manager, actor=actor_of(manager))


def test_leaving_everything_ends_memberships_and_requests(group: Group, other: Group, ada: User) -> None:
    for item in (group, other):
        MembershipFactory.create(group=item, user=ada, deployed=True)
    request = JoinRequestFactory.create(user=ada, new_group_name="New Lab")
    deployments = leave_all(user=ada, actor=actor_of(ada))
    assert {deployment.stack_id for deployment in deployments} == {group.stack_id, other.stack_id}
    assert not Membership.objects.wanted().filter(user=ada).exists()
    request.refresh_from_db()
    assert request.state == "withdrawn"
    assert leave_all(user=ada, actor=actor_of(ada)) == []


def test_who_is_not_in_becomes_no_manager(group: Group, manager: User, ada: User) -> None:
    with pytest.raises(errors.NotMember):
        set_manager(group=group, user=ada, is_manager=True, actor=actor_of(manager))


def test_a_key_holder_s_sessions_end_with_the_membership_too(group: Group, ada: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    remove_member(group=group, user=ada, actor=operator)
    assert manifest_of(group).revoked == (Membership.objects.get(user=ada).username,)
    assert Deployment.objects.open().filter(stack=group.stack).exists()


def test_an_administrator_adds_managers_on_the_people_page(group: Group, ada: User, administrator: User) -> None:
    path = f"/admin/accounts/user/add-to-group/?id={ada.pk}"
    client_of(administrator).post(path, {"group": "example-lab", "access": "federated", "as_managers": "on"})
    assert manages(ada, group)
