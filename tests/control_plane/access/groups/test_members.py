"""Adding people to groups and removing them: what is asked for, and what is refused."""

import pytest
from allauth.account.models import EmailAddress
from django.core.exceptions import PermissionDenied

from control_plane.access.groups import errors
from control_plane.access.groups.models import Access, AccessState, Group, Membership
from control_plane.access.groups.services import manifests
from control_plane.access.groups.services.members import (
    add_by_email,
    add_member,
    add_members,
    add_to_new_group,
    find_or_create_user,
    remove_member,
)
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.errors import InvalidName, LimitReached
from control_plane.deployments.models import Deployment, StoredManifest
from stacks.manifest import GroupManifest, parse
from tests.factories import MembershipFactory, UserFactory, settle

pytestmark = pytest.mark.django_db


def manifest_of(group: Group) -> GroupManifest:
    group.stack.refresh_from_db()
    manifest = parse(StoredManifest.objects.get(stack=group.stack, generation=group.stack.generation).text)
    assert isinstance(manifest, GroupManifest)
    return manifest


def test_it_works(group: Group, ada: User, operator: Actor) -> None:
    deployment = add_member(group=group, user=ada, access=Access.KEYS, actor=operator)
    (member,) = manifest_of(group).members
    membership = Membership.objects.get(group=group, user=ada)
    assert (member.username, member.access) == (membership.username, "keys")
    assert membership.access_state == AccessState.ADDING
    assert [change.summary for change in deployment.changes.all()][-1] == "Giving ada@example.org access to Example Lab"
    event = AuditEvent.objects.get(action="member.add")
    assert (event.actor, event.target) == ("terminal:tester", "ada@example.org in example-lab")


def test_changes_that_wait_together_are_one_deployment(group: Group, ada: User, grace: User, operator: Actor) -> None:
    add_member(group=group, user=ada, access=Access.FEDERATED, actor=operator)
    add_member(group=group, user=grace, access=Access.FEDERATED, actor=operator)
    (deployment,) = Deployment.objects.filter(stack=group.stack)
    assert deployment.generation == 3
    assert [change.generation for change in deployment.changes.all()] == [1, 2, 3]


def test_a_change_during_a_run_waits_for_the_next(group: Group, ada: User, operator: Actor) -> None:
    Deployment.objects.update(state=Deployment.State.RUNNING)
    add_member(group=group, user=ada, access=Access.FEDERATED, actor=operator)
    assert list(Deployment.objects.order_by("pk").values_list("state", "generation")) == [("running", 1), ("queued", 2)]


def test_who_is_in_already_is_refused_and_nothing_starts(group: Group, ada: User, grace: User, operator: Actor) -> None:
    add_member(group=group, user=ada, access=Access.FEDERATED, actor=operator)
    group.stack.refresh_from_db()
    generation = group.stack.generation
    with pytest.raises(errors.AlreadyMember, match=r"ada@example\.org is already in Example Lab.*Nothing was changed"):
        add_members(group=group, users=[grace, ada], access=Access.KEYS, actor=operator)
    group.stack.refresh_from_db()
    assert group.stack.generation == generation
    assert not Membership.objects.filter(user=grace).exists()


def test_an_inactive_person_is_refused(group: Group, ada: User, operator: Actor) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    ada.refresh_from_db()
    with pytest.raises(errors.Inactive, match="not active"):
        add_member(group=group, user=ada, access=Access.FEDERATED, actor=operator)


def test_who_is_not_in_cannot_be_removed(group: Group, ada: User, operator: Actor) -> None:
    with pytest.raises(errors.NotMember, match=r"ada@example\.org is not in Example Lab"):
        remove_member(group=group, user=ada, actor=operator)


def test_a_removed_member_stays_on_record_until_aws_let_go(group: Group, ada: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    remove_member(group=group, user=ada, actor=operator)
    membership = Membership.objects.select_related("group__stack").get(user=ada)
    assert membership.access_state == AccessState.REMOVING
    assert manifest_of(group).members == ()
    assert manifest_of(group).revoked == (membership.username,)
    settle(group.stack)
    assert Membership.objects.with_state().get(user=ada).state == AccessState.ENDED


def test_who_comes_back_is_somebody_new_to_aws(group: Group, ada: User, operator: Actor) -> None:
    for _ in range(2):
        add_member(group=group, user=ada, access=Access.FEDERATED, actor=operator)
        remove_member(group=group, user=ada, actor=operator)
    assert Membership.objects.filter(user=ada).values("username").distinct().count() == 2


def test_too_many_removals_to_name_end_every_session(
    group: Group, ada: User, grace: User, operator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "MAX_REVOKED", 1)
    for user in (ada, grace):
        add_member(group=group, user=user, access=Access.FEDERATED, actor=operator)
        remove_member(group=group, user=user, actor=operator)
    manifest = manifest_of(group)
    assert manifest.revoked == ()
    assert manifest.sessions_not_before is not None


def test_a_new_group_with_people_in_it_is_one_deployment(ada: User, grace: User, operator: Actor) -> None:
    group, deployment = add_to_new_group(slug="new-lab", users=[ada, grace], access=Access.FEDERATED, actor=operator)
    assert Deployment.objects.filter(stack=group.stack).count() == 1
    assert deployment.generation == 2
    assert len(manifest_of(group).members) == 2


def test_a_new_group_whose_people_are_refused_is_not_made(ada: User, operator: Actor) -> None:
    User.objects.filter(pk=ada.pk).update(is_active=False)
    ada.refresh_from_db()
    with pytest.raises(errors.Inactive):
        add_to_new_group(slug="new-lab", users=[ada], access=Access.FEDERATED, actor=operator)
    assert not Group.objects.exists()
    assert not Deployment.objects.exists()


def test_more_key_holders_than_a_stack_holds_are_refused_beforehand(group: Group, operator: Actor) -> None:
    people = User.objects.bulk_create(User(email=f"person{number}@example.org") for number in range(601))
    with pytest.raises(LimitReached, match=r"601 members hold keys.*Nothing was changed"):
        add_members(group=group, users=people, access=Access.KEYS, actor=operator)
    assert not Membership.objects.exists()


def test_who_is_no_administrator_may_not(group: Group, ada: User, grace: User) -> None:
    mallory = Actor(label=grace.email, channel="web", user=grace)
    with pytest.raises(PermissionDenied, match="Nothing was changed"):
        add_member(group=group, user=ada, access=Access.FEDERATED, actor=mallory)
    with pytest.raises(PermissionDenied):
        remove_member(group=group, user=ada, actor=mallory)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@",
        "@example.org",
        "ada@example",
        "\u0430da@example.org",
        "ada@ex\u0430mple.org",
        "a da@example.org",
        "ada@example.org\nBcc: x@example.org",
    ],
)
def test_a_bad_address_makes_nobody(address: str, operator: Actor) -> None:
    with pytest.raises(InvalidName, match="Nothing was changed"):
        find_or_create_user(address, actor=operator)
    assert not User.objects.exists()


def test_a_person_is_not_made_for_a_group_that_cannot_take_them(group: Group, operator: Actor) -> None:
    people = User.objects.bulk_create(User(email=f"person{number}@example.org") for number in range(600))
    add_members(group=group, users=people, access=Access.KEYS, actor=operator)
    with pytest.raises(LimitReached):
        add_by_email(group=group, email="one-more@example.org", access=Access.KEYS, actor=operator)
    assert not User.objects.filter(email="one-more@example.org").exists()


def test_one_person_is_not_two_by_capitals(operator: Actor) -> None:
    assert find_or_create_user("Ada@Example.org", actor=operator) == find_or_create_user("ada@example.ORG", actor=operator)
    assert User.objects.get().email == "ada@example.org"


def test_who_signed_up_with_another_s_address_gets_nothing_when_its_owner_is_added(group: Group, operator: Actor) -> None:
    stranger = UserFactory.create(email="owner@example.org", password="the stranger's own password")
    EmailAddress.objects.filter(user=stranger).update(verified=False)
    known = UserFactory.create(email="known@example.org", password="a verified person's password")
    add_members(group=group, users=[stranger, known], access=Access.FEDERATED, actor=operator)
    for user, keeps in ((stranger, False), (known, True)):
        user.refresh_from_db()
        assert user.has_usable_password() is keeps
    assert AuditEvent.objects.filter(action="account.password_discarded", target=stranger.email).count() == 1
