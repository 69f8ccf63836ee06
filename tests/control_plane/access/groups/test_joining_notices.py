"""Who is told that somebody asks to join, and what a person hears of their own way in and out."""

import re

import pytest
from django.core import mail
from django.db import transaction

from control_plane.access.groups.announcements import announce_access
from control_plane.access.groups.models import Access, Group
from control_plane.access.groups.services.joining import approve, ask_to_join, decline, submit_verified_requests
from control_plane.access.groups.services.members import add_member, add_members, leave, remove_member
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.deployments.announcements import announce
from control_plane.deployments.cloudformation import Observation
from control_plane.deployments.engine import leases, outcomes
from control_plane.deployments.models import Deployment, Stack
from control_plane.notifications.delivery import deliver
from control_plane.notifications.models import Notice
from tests.actors import actor_of, client_of
from tests.control_plane.notifications.test_outbox import Configure, configure
from tests.factories import (
    DeploymentFactory,
    GroupFactory,
    JoinRequestFactory,
    MembershipFactory,
    UserFactory,
    join_code_for,
    settle,
)

__all__ = ["configure"]
pytestmark = pytest.mark.django_db


def told() -> dict[str, str]:
    """Deliver what is new, and say who was told what."""
    mail.outbox.clear()
    for notice in Notice.objects.unsent().order_by("pk"):
        assert deliver(notice.pk, notice.attempts)
    assert all(message.body.count("http") == 1 for message in mail.outbox)
    return {message.to[0]: str(message.subject) for message in mail.outbox}


def finish(group: Group) -> Deployment:
    """As the engine does when CloudFormation holds what was wanted."""
    deployment = Deployment.objects.open().select_related("stack").get(stack=group.stack_id)
    stack = deployment.stack
    with transaction.atomic():
        announce(deployment, "succeeded")
        announce_access(deployment, brought=deployment.generation)
    settle(stack)
    Stack.objects.filter(pk=stack.pk).update(deployed_generation=deployment.generation)
    return deployment


def test_it_works(group: Group, ada: User, grace: User, administrator: User) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True, deployed=True)
    request = JoinRequestFactory.create(user=ada, group=group)
    assert told() == {grace.email: "ada@example.org asks to join Example Lab"}
    approve(request, actor=actor_of(grace))
    assert told() == {ada.email: "Your request to join Example Lab was approved"}
    finish(group)
    assert told() == {
        grace.email: "Done: Giving ada@example.org access to Example Lab",
        ada.email: "You are in: Example Lab",
    }
    # To whom deployments are not shown, the group's page is.
    assert all("/groups/example-lab/" in message.body for message in mail.outbox)


def test_the_link_in_the_e_mail_decides_after_signing_in(group: Group, ada: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True, deployed=True)
    JoinRequestFactory.create(user=ada, group=group)
    told()
    path = re.search(r"http://localhost:8000(/requests/link/\S+)", str(mail.outbox[0].body))
    assert path
    page = client_of(grace).get(path[1])
    assert page.status_code == 200
    assert "Approve" in page.content.decode()


def test_nobody_is_told_before_the_address_is_verified(group: Group, ada: User, administrator: User) -> None:
    ask_to_join(user=ada, actor=actor_of(ada), code=join_code_for(group), is_verified=False)
    assert told() == {}
    submit_verified_requests(ada)
    submit_verified_requests(ada)
    assert told() == {administrator.email: "ada@example.org asks to join Example Lab"}


def test_a_new_group_is_the_administrators_affair(group: Group, ada: User, grace: User, administrator: User) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True, deployed=True)
    UserFactory.create(email="gone@example.org", password="a long enough password", is_active=False, administrator=True)
    JoinRequestFactory.create(user=ada, new_group_name="Noether Lab")
    assert told() == {administrator.email: "ada@example.org asks to join a new group “Noether Lab”"}


def test_a_group_whose_managers_cannot_act_is_the_administrators_affair(
    group: Group, ada: User, grace: User, administrator: User
) -> None:
    MembershipFactory.create(group=group, user=grace, manager=True, deployed=True)
    User.objects.filter(pk=grace.pk).update(is_active=False)
    JoinRequestFactory.create(user=ada, group=group)
    assert set(told()) == {administrator.email}


def test_a_refusal_is_told_with_its_reason(group: Group, ada: User, operator: Actor) -> None:
    decline(JoinRequestFactory.create(user=ada, group=group), actor=operator, note="Ask in May.")
    assert told() == {ada.email: "Your request to join Example Lab was declined"}
    assert "They say: Ask in May." in mail.outbox[0].body


def test_no_e_mail_holds_a_code_beyond_its_beginning(group: Group, ada: User, administrator: User) -> None:
    code = join_code_for(group)
    ask_to_join(user=ada, actor=actor_of(ada), code=code)
    told()
    assert f"begins with {code[:4]}." in mail.outbox[0].body
    assert code not in mail.outbox[0].body


def test_who_is_removed_is_told_when_it_has_ended(group: Group, ada: User, administrator: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    remove_member(group=group, user=ada, actor=actor_of(administrator))
    assert told() == {}
    finish(group)
    assert told()[ada.email] == "Your access to Example Lab has ended"


def test_who_leaves_is_told_once(group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    leave(group=group, user=ada, actor=actor_of(ada))
    finish(group)
    assert told() == {ada.email: "Done: Taking ada@example.org’s access to Example Lab away"}


def test_members_are_told_even_where_those_who_asked_are_not(
    group: Group, ada: User, administrator: User, configure: Configure
) -> None:
    configure(NOTIFY_COMPLETION="false")
    add_member(group=group, user=ada, access=Access.FEDERATED, actor=actor_of(administrator))
    finish(group)
    assert told() == {ada.email: "You are in: Example Lab"}


def test_others_in_the_group_and_in_other_groups_hear_nothing(group: Group, ada: User, grace: User) -> None:
    MembershipFactory.create(group=group, user=grace, deployed=True)
    other = GroupFactory.create(slug="other-lab")
    MembershipFactory.create(group=other, user=UserFactory.create(email="lise@example.org"), deployed=True)
    MembershipFactory.create(group=group, user=ada)
    finish(group)
    assert set(told()) == {ada.email}


def test_who_came_and_went_before_aws_knew_hears_nothing(group: Group, ada: User, grace: User, operator: Actor) -> None:
    add_members(group=group, users=[ada, grace], access=Access.FEDERATED, actor=operator)
    remove_member(group=group, user=ada, actor=operator)
    finish(group)
    assert told() == {grace.email: "You are in: Example Lab"}


def test_who_comes_back_at_once_is_told_that_they_are_in(group: Group, ada: User, operator: Actor) -> None:
    MembershipFactory.create(group=group, user=ada, deployed=True)
    remove_member(group=group, user=ada, actor=operator)
    MembershipFactory.create(group=group, user=ada, keys=True)
    finish(group)
    assert told() == {ada.email: "You are in: Example Lab"}


def test_hundreds_who_come_at_once_are_left_to_the_sweep(group: Group, operator: Actor) -> None:
    people = User.objects.bulk_create(User(email=f"p{number}@example.org") for number in range(120))
    add_members(group=group, users=people, access=Access.FEDERATED, actor=operator)
    finish(group)
    assert Notice.objects.due(Deployment.objects.get().created_at.replace(year=2100)).count() == 120


def test_the_engine_tells_members_as_it_records_the_end(group: Group, ada: User) -> None:
    MembershipFactory.create(group=group, user=ada)
    (deployment,) = leases.claim("one", 10)
    outcomes.record_success(deployment, Observation(status="CREATE_COMPLETE", outputs={"Generation": "2"}), "")
    assert told() == {ada.email: "You are in: Example Lab"}


def test_a_cancelled_run_tells_what_it_had_brought_all_the_same(group: Group, ada: User, administrator: User) -> None:
    add_member(group=group, user=ada, access=Access.FEDERATED, actor=actor_of(administrator))
    (deployment,) = leases.claim("one", 10)
    outcomes.record_cancellation(
        deployment, administrator.email, Observation(status="CREATE_COMPLETE", outputs={"Generation": "2"})
    )
    assert told() == {
        administrator.email: "Cancelled: Making the group Example Lab and 1 more",
        ada.email: "You are in: Example Lab",
    }
    # What it says was recorded in several steps: all of it is told.
    deployment.refresh_from_db()
    assert deployment.advice
    assert f"{deployment.error}\n\n{deployment.advice}" in mail.outbox[0].body


def test_a_platform_s_deployment_concerns_no_member(operator: Actor) -> None:
    deployment = DeploymentFactory.create(generation=0)
    with transaction.atomic():
        announce_access(deployment, brought=1)
    assert not Notice.objects.exists()
