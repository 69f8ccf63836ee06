"""Cancelling withdraws what a deployment was to give, and never what takes access away, replaces a key or locks out."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from control_plane.access.groups.models import Access, Analysis, Grant, Group, JoinRequest, Membership
from control_plane.access.groups.services.access_method import change_access
from control_plane.access.groups.services.analyses import create_analysis, grant_analysis, revoke_analysis
from control_plane.access.groups.services.keys import OldKey, end_overlap, rotate_key
from control_plane.access.groups.services.members import add_member, remove_member
from control_plane.access.groups.services.suspension import resume_group, resume_members, suspend_group, suspend_members
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.deployments.approvals import NotApprovable, reject
from control_plane.deployments.cancelling import cancel
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.requests import NotCancellable, request_repair
from stacks.manifest import GroupManifest, parse
from tests.actors import OPERATOR
from tests.control_plane.fakes import FakeAws, holding, reconcile_all, run_one
from tests.factories import GrantFactory, MembershipFactory, UserFactory, settle

pytestmark = pytest.mark.django_db
Do = Callable[[Group, User], Deployment]


def wanted(group: Group, generation: int | None = None) -> GroupManifest:
    stack = Stack.objects.get(pk=group.stack_id)
    manifest = parse(stack.manifests.get(generation=generation or stack.generation).text)
    assert isinstance(manifest, GroupManifest)
    return manifest


def held(group: Group) -> GroupManifest:
    return wanted(group, Stack.objects.get(pk=group.stack_id).deployed_generation)


def same_access(one: GroupManifest, other: GroupManifest) -> bool:
    fields = {"members", "analyses", "suspended"}
    return one.model_dump(include=fields) == other.model_dump(include=fields)


def successor(group: Group) -> Deployment:
    return Deployment.objects.get(stack=group.stack, state="queued")


@pytest.fixture
def lab(group: Group, ada: User, epi: Analysis) -> Group:
    """Deployed, with ada in it, who holds a key and an old one, and one analysis to read."""
    settle(epi.stack)
    GrantFactory.create(group=group, analysis=epi, read_only=True)
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    return group


def test_what_is_cancelled_does_not_come_back_with_the_next_run(lab: Group, grace: User, monkeypatch: pytest.MonkeyPatch) -> None:
    aws = FakeAws(stacks={"Group-example-lab": holding(lab.stack.generation)}).install(monkeypatch)
    deployment = cancel(add_member(group=lab, user=grace, access=Access.FEDERATED, actor=OPERATOR), actor=OPERATOR)
    assert deployment.state == "cancelled"
    assert "Withdrawn: grace@example.org gets access (short-lived credentials)." in deployment.advice
    assert same_access(wanted(lab), held(lab))
    lise = UserFactory.create(email="lise@example.org")
    add_member(group=lab, user=lise, access=Access.FEDERATED, actor=OPERATOR)
    assert reconcile_all(aws) == 1
    assert {member.username for member in held(lab).members} == set(
        Membership.objects.filter(user__email__in=["ada@example.org", "lise@example.org"]).values_list("username", flat=True)
    )
    assert not Membership.objects.not_ended().filter(user=grace).exists()
    assert AuditEvent.objects.filter(action="member.withdraw", target="grace@example.org in example-lab").exists()


def old_key(group: Group, user: User, *wishes: OldKey) -> Deployment:
    deployment = rotate_key(group=group, user=user, actor=OPERATOR, overlap=timedelta(days=1))
    for wish in wishes:
        settle(group.stack)
        deployment = end_overlap(group=group, user=user, actor=OPERATOR, wish=wish)
    return deployment


def federated(group: Group, user: User) -> Deployment:
    return change_access(group=group, user=user, access=Access.FEDERATED, actor=OPERATOR)


def grant(level: Grant.Level) -> Do:
    return lambda group, _: grant_analysis(analysis=Analysis.objects.get(), group=group, level=level, actor=OPERATOR)


def after(before: Do, then: Do) -> Do:
    def both(group: Group, user: User) -> Deployment:
        before(group, user)
        settle(group.stack)
        return then(group, user)

    return both


def suspend(group: Group, user: User) -> Deployment:
    return suspend_members(group=group, users=[user], actor=OPERATOR)


GIVES: dict[str, Do] = {
    "a key": after(federated, lambda g, u: change_access(group=g, user=u, access=Access.KEYS, actor=OPERATOR)),
    "the end of a suspension": after(suspend, lambda g, u: resume_members(group=g, users=[u], actor=OPERATOR)),
    "the end of a group's suspension": after(
        lambda g, _: suspend_group(group=g, actor=OPERATOR), lambda g, _: resume_group(group=g, actor=OPERATOR)
    ),
    "writing": grant(Grant.Level.READ_WRITE),
    "an analysis": after(
        lambda g, _: revoke_analysis(analysis=Analysis.objects.get(), group=g, actor=OPERATOR), grant(Grant.Level.READ_ONLY)
    ),
    "an old key that works again": lambda g, u: old_key(g, u, OldKey.STOP, OldKey.BRING_BACK),
}
TAKES: dict[str, Do] = {
    "a removal": lambda g, u: remove_member(group=g, user=u, actor=OPERATOR),
    "a suspension": suspend,
    "a group's suspension": lambda g, _: suspend_group(group=g, actor=OPERATOR),
    "a key's replacement": old_key,
    "a key that is taken away": federated,
    "an old key that is stopped": lambda g, u: old_key(g, u, OldKey.STOP),
    "an analysis that is revoked": lambda g, _: revoke_analysis(analysis=Analysis.objects.get(), group=g, actor=OPERATOR),
    "writing that is taken away": after(grant(Grant.Level.READ_WRITE), grant(Grant.Level.READ_ONLY)),
}


@pytest.mark.parametrize("give", GIVES.values(), ids=GIVES)
def test_whatever_it_was_to_give_is_withdrawn(lab: Group, ada: User, give: Do) -> None:
    deployment = give(lab, ada)
    assert not same_access(wanted(lab), held(lab))
    deployment = cancel(deployment, actor=OPERATOR)
    assert deployment.advice.startswith("Nothing was changed on AWS. Withdrawn: ")
    assert same_access(wanted(lab), held(lab))
    assert successor(lab).generation == Stack.objects.get(pk=lab.stack_id).generation


@pytest.mark.parametrize("take", TAKES.values(), ids=TAKES)
def test_a_removal_a_suspension_and_a_new_key_are_not_cancelled(lab: Group, ada: User, take: Do) -> None:
    deployment = take(lab, ada)
    before = wanted(lab)
    with pytest.raises(NotCancellable, match=r"has nothing that can be cancelled: .* It goes on\. Nothing was changed\."):
        cancel(deployment, actor=OPERATOR)
    deployment.refresh_from_db()
    assert (deployment.state, deployment.cancel_requested_at, wanted(lab)) == ("queued", None, before)


@pytest.mark.parametrize("take", TAKES.values(), ids=TAKES)
def test_beside_what_is_withdrawn_they_go_on_and_the_page_says_which_part_was_cancelled(
    lab: Group, ada: User, grace: User, take: Do
) -> None:
    take(lab, ada)
    alone = wanted(lab)
    deployment = cancel(add_member(group=lab, user=grace, access=Access.FEDERATED, actor=OPERATOR), actor=OPERATOR)
    assert "Withdrawn: grace@example.org gets access (short-lived credentials)." in deployment.advice
    assert f"What takes access away, replaces a key or locks out goes on in deployment {successor(lab).pk}: " in deployment.advice
    assert same_access(wanted(lab), alone)
    assert not same_access(wanted(lab), held(lab))


def test_one_that_runs_is_withdrawn_once_aws_has_taken_it_back(
    lab: Group, ada: User, grace: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = lab.stack.generation
    aws = FakeAws(stacks={"Group-example-lab": holding(generation)}).install(monkeypatch)
    suspend_members(group=lab, users=[ada], actor=OPERATOR)
    MembershipFactory.create(group=lab, user=grace)
    lise = UserFactory.create(email="lise@example.org")

    def cancel_and_ask_for_more(*_: object) -> None:
        cancel(Deployment.objects.get(state="running"), actor=OPERATOR)
        MembershipFactory.create(group=lab, user=lise)

    aws.while_preparing = cancel_and_ask_for_more
    # The worker hears of it with its next beat.
    monkeypatch.setattr("control_plane.deployments.engine.heartbeat.Heartbeat.cancelled_by", cancelled_by)
    deployment = run_one(aws)
    assert deployment.state == "cancelled"
    assert f"AWS has generation {generation}" in deployment.advice
    assert "Withdrawn: grace@example.org gets access" in deployment.advice
    people = {member.username: member.suspended for member in wanted(lab).members}
    names = dict(Membership.objects.values_list("user__email", "username"))
    assert people == {names["ada@example.org"]: True, names["lise@example.org"]: False}, "what was asked for later stays"


def cancelled_by(_: object, deployment: Deployment) -> str:
    return Deployment.objects.filter(pk=deployment.pk).values_list("cancel_requested_by", flat=True)[0]


def test_a_refusal_withdraws_as_cancelling_does(lab: Group, ada: User, grace: User, administrator: User) -> None:
    second = Actor(label=administrator.email, channel="web", user=administrator)
    deployment = remove_member(group=lab, user=ada, actor=OPERATOR)
    Deployment.objects.filter(pk=deployment.pk).update(state="approval")
    with pytest.raises(NotApprovable, match="nothing that can be cancelled"):
        reject(deployment, actor=second)
    MembershipFactory.create(group=lab, user=grace)
    Deployment.objects.filter(pk=deployment.pk).update(state="approval")
    refused = reject(deployment, actor=second, reason="Not this term")
    assert "Not this term" in refused.error
    assert "Withdrawn: grace@example.org" in refused.advice
    assert wanted(lab).members == ()


def test_whoever_asked_to_join_is_told(lab: Group, grace: User) -> None:
    deployment = add_member(group=lab, user=grace, access=Access.FEDERATED, actor=OPERATOR)
    request = JoinRequest.objects.create(
        user=grace, group=lab, state=JoinRequest.State.APPROVED, deployment=deployment, decided_at=timezone.now()
    )
    cancel(deployment, actor=OPERATOR)
    request.refresh_from_db()
    assert (request.state, request.note) == ("declined", "An administrator cancelled it before AWS had made it.")


def test_a_group_that_was_never_made_is_not_made_by_cancelling_it(group: Group, ada: User) -> None:
    deployment = cancel(add_member(group=group, user=ada, access=Access.KEYS, actor=OPERATOR), actor=OPERATOR)
    assert "Withdrawn: ada@example.org gets access (an access key of their own" in deployment.advice
    assert not Deployment.objects.open().filter(stack=group.stack).exists()
    assert wanted(group).members == ()


def test_an_analysis_whose_making_is_cancelled_is_left_out(group: Group, epi: Analysis) -> None:
    settle(epi.stack)
    late, deployment = create_analysis(slug="late", bucket="cohort-late", actor=OPERATOR)
    settle(group.stack)
    deployment = cancel(deployment, actor=OPERATOR)
    assert "Withdrawn: the bucket cohort-late is made." in deployment.advice
    late.refresh_from_db()
    assert late.unmade_reason == "Cancelled by terminal:tester before AWS had made it."


def test_a_repair_that_is_cancelled_withdraws_nothing(lab: Group) -> None:
    deployment = cancel(request_repair(lab.stack, actor=OPERATOR), actor=OPERATOR)
    assert deployment.advice == "Nothing was changed on AWS."
    assert not Deployment.objects.open().exists()
