"""Asking to join a group: what is asked for, what is refused, and that nothing gives access before somebody approves."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from control_plane.access.groups import errors
from control_plane.access.groups.models import Access, Group, JoinCode, JoinRequest, Membership
from control_plane.access.groups.services.join_codes import find_usable_code, rotate_join_code, withdraw_join_code
from control_plane.access.groups.services.joining import approve, ask_to_join, decline, submit_verified_requests, withdraw
from control_plane.access.groups.services.members import add_member
from control_plane.accounts.models import User, trust_address
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.errors import InvalidName, Refused
from control_plane.deployments.models import Deployment
from tests.actors import actor_of
from tests.control_plane.notifications.test_outbox import Configure, configure
from tests.factories import JoinRequestFactory, MembershipFactory, UserFactory, join_code_for

__all__ = ["configure"]
pytestmark = pytest.mark.django_db


def is_in(group: Group, user: User) -> bool:
    return Membership.objects.wanted().filter(group=group, user=user).exists()


def test_it_works(group: Group, ada: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True, deployed=True)
    request = JoinRequestFactory.create(user=ada, group=group)
    assert (request.state, request.group) == ("waiting", group)
    assert not is_in(group, ada)
    deployment = approve(request, actor=actor_of(grace))
    assert is_in(group, ada)
    assert deployment.changes.order_by("-pk")[0].summary == "Giving ada@example.org access to Example Lab"
    request.refresh_from_db()
    assert (request.state, request.decided_by, request.deployment) == ("approved", grace.email, deployment)
    assert list(AuditEvent.objects.filter(action__startswith="join.").values_list("action", "actor").order_by("pk")) == [
        ("join.ask", ada.email),
        ("join.approve", grace.email),
    ]


def test_what_was_asked_for_at_sign_up_waits_for_the_address(group: Group, ada: User, operator: Actor) -> None:
    request = ask_to_join(user=ada, actor=actor_of(ada), code=join_code_for(group), is_verified=False)
    assert request.state == "unverified"
    with pytest.raises(errors.NotOpen, match="not verified"):
        approve(request, actor=operator)
    submit_verified_requests(ada)
    submit_verified_requests(ada)
    request.refresh_from_db()
    assert request.state == "waiting"
    assert not is_in(group, ada)


def test_the_code_is_kept_nowhere(group: Group, ada: User) -> None:
    code = join_code_for(group)
    ask_to_join(user=ada, actor=actor_of(ada), code=code)
    ada.refresh_from_db()
    assert (ada.requested_group, ada.requested_group_code, ada.use_code) == ("example-lab", code[:4], True)
    kept = [*JoinCode.objects.values(), *User.objects.values(), *AuditEvent.objects.values(), *JoinRequest.objects.values()]
    assert code not in str(kept)
    assert code.replace("-", "") not in str(kept)


@pytest.mark.parametrize("write", [str.lower, lambda code: code.replace("-", " "), lambda code: f" {code.replace('-', '')}\n"])
def test_how_a_code_is_written_does_not_count(group: Group, write: Callable[[str], str]) -> None:
    assert find_usable_code(write(join_code_for(group))).group == group


def test_a_code_that_does_not_work_is_told_the_same_whatever_is_wrong(group: Group, ada: User, operator: Actor) -> None:
    expired, withdrawn, spent = join_code_for(group), join_code_for(group), join_code_for(group, most_uses=1)
    rows = {code: JoinCode.objects.get(prefix=code[:4]) for code in (expired, withdrawn)}
    JoinCode.objects.filter(pk=rows[expired].pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    withdraw_join_code(code=rows[withdrawn], actor=operator)
    ask_to_join(user=UserFactory.create(email="first@example.org"), actor=operator, code=spent)
    said = set()
    for code in (expired, withdrawn, spent, "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA", "x", "🔑", expired[:-1]):
        with pytest.raises(errors.CodeRefused) as refusal:
            ask_to_join(user=ada, actor=actor_of(ada), code=code)
        said.add(str(refusal.value))
    assert len(said) == 1
    assert "Nothing was changed" in said.pop()
    assert not JoinRequest.objects.filter(user=ada).exists()


def test_guessing_ends_after_ten_tries_even_with_the_right_code(group: Group, ada: User, grace: User) -> None:
    code = join_code_for(group)
    for _ in range(10):
        with pytest.raises(errors.CodeRefused):
            ask_to_join(user=ada, actor=actor_of(ada), code="guess")
    with pytest.raises(errors.TooManyTries):
        ask_to_join(user=ada, actor=actor_of(ada), code=code)
    assert AuditEvent.objects.filter(action="join.code_refused", actor_user=ada).count() == 10
    assert ask_to_join(user=grace, actor=actor_of(grace), code=code).group == group


def test_a_rotated_code_stops_working_as_the_new_one_starts(group: Group, operator: Actor) -> None:
    old = join_code_for(group, most_uses=3)
    row, new = rotate_join_code(code=JoinCode.objects.get(), actor=operator)
    assert (find_usable_code(new), row.most_uses) == (row, 3)
    with pytest.raises(errors.CodeRefused):
        find_usable_code(old)
    with pytest.raises(errors.AlreadyWithdrawn):
        rotate_join_code(code=JoinCode.objects.get(prefix=old[:4]), actor=operator)


@pytest.mark.parametrize("terms", [{"days": 0}, {"days": 366}, {"days": -1}, {"most_uses": 0}, {"most_uses": 10_001}])
def test_a_code_with_senseless_terms_is_not_made(group: Group, terms: dict[str, int]) -> None:
    with pytest.raises(errors.InvalidTerms):
        join_code_for(group, **terms)
    assert not JoinCode.objects.exists()


@pytest.mark.parametrize(
    "name",
    ["Example Lab", "example  LAB", "Ｅxample Lab", "Example\u00a0Lab", "example-lab", "Example_Lab!", "EXAMPLE LAB "],
)
def test_an_existing_group_is_not_joined_by_its_name(group: Group, ada: User, grace: User, name: str) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True, deployed=True)
    with pytest.raises(errors.NameTaken, match="ask the group's manager for a code") as refusal:
        ask_to_join(user=ada, actor=actor_of(ada), new_group_name=name)
    assert grace.email not in str(refusal.value)
    assert not JoinRequest.objects.exists()


@pytest.mark.parametrize("name", ["Ex\u0430mple Lab", "Lab\u202e", "Lab\x00", "x", "n" * 121])
def test_a_name_that_looks_like_another_is_refused(group: Group, ada: User, name: str) -> None:
    with pytest.raises(InvalidName, match="Nothing was changed"):
        ask_to_join(user=ada, actor=actor_of(ada), new_group_name=name)


@pytest.mark.parametrize("wish", [{}, {"code": "AAAA", "new_group_name": "Lab"}, {"code": "  "}])
def test_either_a_code_or_a_name_is_needed(ada: User, wish: dict[str, Any]) -> None:
    with pytest.raises(InvalidName, match="either"):
        ask_to_join(user=ada, actor=actor_of(ada), **wish)


def test_the_same_is_not_asked_twice_but_again_after_a_no(group: Group, ada: User, operator: Actor) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    with pytest.raises(errors.AlreadyAsked):
        ask_to_join(user=ada, actor=actor_of(ada), code=join_code_for(group))
    decline(request, actor=operator, note="  Not\nyet. ")
    request.refresh_from_db()
    assert (request.state, request.note) == ("declined", "Not yet.")
    assert ask_to_join(user=ada, actor=actor_of(ada), code=join_code_for(group)).state == "waiting"
    assert ask_to_join(user=ada, actor=actor_of(ada), new_group_name="New Lab").is_for_new_group
    with pytest.raises(errors.AlreadyAsked):
        ask_to_join(user=ada, actor=actor_of(ada), new_group_name="Another Lab")


def test_a_member_does_not_ask(group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    with pytest.raises(errors.AlreadyMember):
        ask_to_join(user=ada, actor=actor_of(ada), code=join_code_for(group))
    assert JoinCode.objects.get().uses == 0


def test_a_new_group_is_made_by_administrators_with_the_person_as_its_manager(
    group: Group, ada: User, grace: User, administrator: User
) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True, deployed=True)
    request = JoinRequestFactory.create(user=ada, new_group_name="Noether  Lab")
    with pytest.raises(PermissionDenied):
        approve(request, actor=actor_of(grace), new_group_slug="noether-lab")
    approve(request, actor=actor_of(administrator), new_group_slug="noether-lab")
    made = Group.objects.get(slug="noether-lab")
    assert made.name == "Noether Lab"
    assert Membership.objects.get(group=made).is_manager
    assert Deployment.objects.filter(stack=made.stack).count() == 1
    request.refresh_from_db()
    assert (request.group, request.state) == (made, "approved")


@pytest.mark.parametrize("slug", ["", "x", "Not A Slug", "example-lab"])
def test_a_new_group_with_a_bad_slug_leaves_the_request_waiting(group: Group, ada: User, administrator: User, slug: str) -> None:
    request = JoinRequestFactory.create(user=ada, new_group_name="Noether Lab")
    with pytest.raises(Refused):
        approve(request, actor=actor_of(administrator), new_group_slug=slug)
    request.refresh_from_db()
    assert request.state == "waiting"
    assert Group.objects.count() == 1


def test_a_name_taken_while_it_waited_is_refused_then(ada: User, grace: User, administrator: User) -> None:
    first, second = (
        JoinRequestFactory.create(user=ada, new_group_name="Noether Lab"),
        JoinRequestFactory.create(user=grace, new_group_name="noether lab"),
    )
    approve(first, actor=actor_of(administrator), new_group_slug="noether-lab")
    with pytest.raises(errors.NameTaken):
        approve(second, actor=actor_of(administrator), new_group_slug="noether-two")
    second.refresh_from_db()
    assert second.state == "waiting"


def test_what_is_decided_is_decided_once(group: Group, ada: User, operator: Actor) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    approve(request, actor=operator)
    for again in (approve, decline):
        with pytest.raises(errors.NotOpen, match="approved already"):
            again(request, actor=operator)
    with pytest.raises(errors.NotOpen):
        withdraw(request, actor=actor_of(ada))
    assert Membership.objects.filter(user=ada).count() == 1


def test_only_who_asked_withdraws(group: Group, ada: User, grace: User, administrator: User) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    for other in (grace, administrator):
        with pytest.raises(PermissionDenied):
            withdraw(request, actor=actor_of(other))
    withdraw(request, actor=actor_of(ada))
    with pytest.raises(errors.NotOpen, match="withdrawn"):
        approve(request, actor=actor_of(administrator))
    assert not is_in(group, ada)


def test_an_administrator_s_adding_grants_what_was_asked(group: Group, ada: User, operator: Actor) -> None:
    request = JoinRequestFactory.create(user=ada, group=group)
    deployment = add_member(group=group, user=ada, access=Access.KEYS, actor=operator)
    request.refresh_from_db()
    assert (request.state, request.deployment) == ("approved", deployment)


@pytest.mark.parametrize(
    ("domains", "address", "is_let_in"),
    [
        ("", "ada@example.edu", False),
        (".edu", "ada@example.edu", True),
        (".edu", "ada@cs.example.edu", True),
        (".edu", "ada@edu", False),
        (".edu", "ada@exampleedu.org", False),
        ("example.org", "ada@example.org", True),
        ("other.org Example.ORG", "ada@example.org", True),
        ("example.org", "ada@notexample.org", False),
        ("example.org", "ada@sub.example.org", False),
        (".example.org", "ada@sub.example.org", True),
        (".example.org", "ada@example.org", False),
        ("example.org", "ada@example.org.evil.com", False),
    ],
)
def test_a_trusted_domain_with_a_code_needs_no_approval(
    group: Group, configure: Configure, domains: str, address: str, is_let_in: bool
) -> None:
    configure(AUTO_APPROVE_DOMAINS=domains)
    user = User(email=address)
    user.save()
    request = ask_to_join(user=user, actor=actor_of(user), code=join_code_for(group), is_verified=False)
    assert not is_in(group, user)
    trust_address(user)
    submit_verified_requests(user)
    request.refresh_from_db()
    assert is_in(group, user) == is_let_in
    assert request.state == ("approved" if is_let_in else "waiting")


def test_a_trusted_domain_alone_is_not_enough(group: Group, ada: User, grace: User, operator: Actor, configure: Configure) -> None:
    configure(AUTO_APPROVE_DOMAINS="example.org")
    assert ask_to_join(user=ada, actor=actor_of(ada), new_group_name="New Lab").state == "waiting"
    # An address that nobody has verified.
    EmailAddress.objects.filter(user=grace).delete()
    assert ask_to_join(user=grace, actor=actor_of(grace), code=join_code_for(group)).state == "waiting"
    # A code that was withdrawn before the address was verified.
    lise = UserFactory.create(email="lise@example.org")
    request = ask_to_join(user=lise, actor=actor_of(lise), code=(code := join_code_for(group)), is_verified=False)
    withdraw_join_code(code=JoinCode.objects.get(prefix=code[:4]), actor=operator)
    submit_verified_requests(lise)
    request.refresh_from_db()
    assert request.state == "waiting"


def test_a_trusted_person_whom_the_group_cannot_take_waits(group: Group, ada: User, configure: Configure) -> None:
    configure(AUTO_APPROVE_DOMAINS="example.org")
    request = ask_to_join(user=ada, actor=actor_of(ada), code=join_code_for(group), is_verified=False)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    submit_verified_requests(User.objects.get(pk=ada.pk))
    request.refresh_from_db()
    assert request.state == "waiting"


@pytest.mark.parametrize("domains", ["*", "ada@example.org", "exa mple.org,", "..edu", "https://example.org"])
def test_a_setting_that_is_no_domain_stops_the_program(configure: Configure, domains: str) -> None:
    from control_plane.base.config import config

    configure(AUTO_APPROVE_DOMAINS=domains)
    with pytest.raises(SystemExit, match="AUTO_APPROVE_DOMAINS"):
        config()
