"""A second administrator's word: who may give it, on what, and what makes it void."""

import pytest
from django.core.exceptions import PermissionDenied

from control_plane.access.groups.models import Access, Group
from control_plane.access.groups.services.members import add_member
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.approvals import NotApprovable, approve, may_decide, reject
from control_plane.deployments.models import Deployment
from tests.factories import JoiningDeploymentFactory, UserFactory

pytestmark = pytest.mark.django_db
WAITS = Deployment.State.APPROVAL


def web(user: User) -> Actor:
    return Actor(label=user.email, channel="web", user=user)


@pytest.fixture
def second(db: None) -> Actor:
    return web(UserFactory.create(email="second@example.org", password="a long enough password", administrator=True))


@pytest.fixture
def asker(administrator: User) -> Actor:
    return web(administrator)


def test_a_second_administrator_lets_it_go_on(group: Group, ada: User, asker: Actor, second: Actor) -> None:
    deployment = approve(
        JoiningDeploymentFactory.create(group=group, user=ada, actor=asker, planned=True), actor=second, generation=2
    )
    assert deployment.state == Deployment.State.QUEUED
    assert (deployment.approved_by, deployment.approved_generation) == ("second@example.org", 2)
    assert AuditEvent.objects.get(action="deployment.approve").details == {"deployment": deployment.pk, "generation": 2}


def test_nobody_approves_what_they_asked_for(group: Group, ada: User, asker: Actor) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, actor=asker, planned=True)
    assert not may_decide(deployment, asker)
    for decide in (approve, reject):
        with pytest.raises(NotApprovable, match="yourself"):
            decide(deployment, actor=asker)
    deployment.refresh_from_db()
    assert deployment.state == WAITS


def test_what_was_asked_for_since_the_approver_looked_is_not_approved(
    group: Group, ada: User, grace: User, asker: Actor, second: Actor
) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, actor=asker, planned=True)
    add_member(group=group, user=grace, access=Access.FEDERATED, actor=asker)
    Deployment.objects.filter(pk=deployment.pk).update(state=WAITS)
    with pytest.raises(NotApprovable, match="More was asked for"):
        approve(deployment, actor=second, generation=2)
    deployment.refresh_from_db()
    assert (deployment.state, deployment.approved_by) == (WAITS, "")


def test_a_further_change_makes_an_approval_void(group: Group, ada: User, grace: User, asker: Actor, second: Actor) -> None:
    deployment = approve(JoiningDeploymentFactory.create(group=group, user=ada, actor=asker, planned=True), actor=second)
    assert add_member(group=group, user=grace, access=Access.FEDERATED, actor=asker).pk == deployment.pk
    deployment.refresh_from_db()
    assert deployment.state == Deployment.State.QUEUED
    assert deployment.approved_generation != deployment.generation


def test_a_change_takes_a_deployment_out_of_approval(group: Group, ada: User, grace: User, asker: Actor) -> None:
    deployment = JoiningDeploymentFactory.create(group=group, user=ada, actor=asker, planned=True)
    add_member(group=group, user=grace, access=Access.FEDERATED, actor=asker)
    deployment.refresh_from_db()
    assert (deployment.state, deployment.generation) == (Deployment.State.QUEUED, 3)


def test_a_refusal_ends_it_and_says_why(group: Group, ada: User, asker: Actor, second: Actor) -> None:
    deployment = reject(
        JoiningDeploymentFactory.create(group=group, user=ada, actor=asker, planned=True), actor=second, reason="Not this term"
    )
    assert deployment.state == Deployment.State.CANCELLED
    assert "second@example.org: Not this term" in deployment.error
    assert deployment.finished_at is not None
    assert AuditEvent.objects.get(action="deployment.reject").details["reason"] == "Not this term"


def test_only_what_waits_for_approval_can_be_approved(group: Group, ada: User, asker: Actor, second: Actor) -> None:
    with pytest.raises(NotApprovable, match="does not wait"):
        approve(JoiningDeploymentFactory.create(group=group, user=ada, actor=asker), actor=second)


def test_others_than_administrators_decide_nothing(group: Group, ada: User, grace: User, asker: Actor) -> None:
    with pytest.raises(PermissionDenied):
        approve(JoiningDeploymentFactory.create(group=group, user=ada, actor=asker, planned=True), actor=web(grace))
