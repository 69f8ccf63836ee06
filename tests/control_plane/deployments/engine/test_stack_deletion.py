"""A retired group's stack is removed instead of deployed, whatever happens on the way."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from control_plane.access.groups.models import AccessState, Group, Membership
from control_plane.access.retirement.models import Retirement
from control_plane.access.retirement.requests import request_retirement
from control_plane.access.retirement.schedule import continue_retirements
from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.deployments import cloudformation, drift
from control_plane.deployments.cloudformation import Observation, StackEvent, StackResource
from control_plane.deployments.engine import stack_deletion
from control_plane.deployments.engine.engine import _manifests
from control_plane.deployments.engine.leases import recover_abandoned
from control_plane.deployments.engine.upkeep import queue_out_of_step
from control_plane.deployments.failures import FailedResource
from control_plane.deployments.models import Deployment, DriftState, Failure, Stack
from control_plane.deployments.requests import NothingToRetry, deploy_again, request_repair
from stacks.store import open_store, read_group
from tests.actors import OPERATOR
from tests.control_plane.fakes import FakeAws, claim_one, configure, holding, run_one
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db

NAME = "Group-example-lab"
USER = StackEvent("2", "User1", "AWS::IAM::User", "DELETE_COMPLETE", "")


class Removing(FakeAws):
    """A CloudFormation whose removals end as the test says: None for gone, or the state that it ends in."""

    ends_in: str | None = None
    removals: int = 0
    while_removing: Callable[[], object] = staticmethod(lambda: None)

    def delete_stack(self, *, StackName: str) -> None:  # noqa: N803 (boto3's own name)
        self.removals += 1
        self.while_removing()
        if self.ends_in is None:
            self.stacks.pop(StackName, None)
        else:
            self.stacks[StackName] = Observation(self.ends_in, {"Generation": "1"})


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Removing:
    made = Removing()
    made.install(monkeypatch)
    told = iter([[USER]])
    monkeypatch.setattr(cloudformation, "events_after", lambda *_: next(told, []))
    monkeypatch.setattr(cloudformation, "resources", lambda *_: [StackResource("User1", "AWS::IAM::User", "u")])
    monkeypatch.setattr("control_plane.deployments.lockout.clear_stale_denials", lambda deployment: None)
    monkeypatch.setattr(stack_deletion, "POLL_SECONDS", 0)
    return made


@pytest.fixture
def retiring(group: Group, ada: Any, aws: Removing) -> Retirement:
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    group.stack.refresh_from_db()
    aws.stacks[NAME] = holding(group.stack.generation)
    return request_retirement(group=group, confirmation=group.slug, actor=OPERATOR, at_once=True)


def refreshed(retirement: Retirement) -> Retirement:
    return Retirement.objects.select_related("group__stack", "deployment").get(pk=retirement.pk)


def test_the_stack_is_removed_and_not_deployed(retiring: Retirement, aws: Removing) -> None:
    deployment = run_one(aws)
    assert (deployment.state, deployment.cloudformation_status) == ("succeeded", "DELETE_COMPLETE")
    assert aws.deployed == []
    assert aws.removals == 1
    assert NAME not in aws.stacks
    assert [(resource["logical_id"], resource["action"], resource["state"]) for resource in deployment.resources] == [
        ("User1", "remove", "done")
    ]
    lines = list(deployment.log.values_list("text", flat=True))
    assert "DELETE_COMPLETE  AWS::IAM::User  User1" in lines
    assert lines[-1] == f"{NAME} is removed from AWS"
    assert Membership.objects.get().access_state == AccessState.ENDED
    assert read_group(open_store(config().manifest_store), "example-lab").retired
    continue_retirements()
    assert refreshed(retiring).state == Retirement.State.DONE


def test_a_stack_that_is_not_there_is_done(retiring: Retirement, aws: Removing) -> None:
    aws.stacks.clear()
    assert run_one(aws).state == "succeeded"
    assert aws.removals == 0


def test_what_holds_it_is_told_with_what_to_do_and_is_tried_again_when_asked(retiring: Retirement, aws: Removing) -> None:
    aws.ends_in = "DELETE_FAILED"
    aws.failure = FailedResource("Policy1", "AWS::IAM::ManagedPolicy", "Cannot delete entity, must detach all (DeleteConflict)")
    deployment = run_one(aws)
    assert (deployment.state, deployment.failure) == ("failed", Failure.PERMANENT)
    assert "could not remove AWS::IAM::ManagedPolicy “Policy1”" in deployment.error
    assert "Detach that on AWS" in deployment.advice
    continue_retirements()
    assert refreshed(retiring).state == Retirement.State.REMOVING
    aws.ends_in = None
    deploy_again(deployment, actor=OPERATOR)
    assert run_one(aws).state == "succeeded"


def test_what_passes_by_itself_is_tried_again(retiring: Retirement, aws: Removing) -> None:
    aws.ends_in = "DELETE_FAILED"
    aws.failure = FailedResource("User1", "AWS::IAM::User", "Rate exceeded (Throttling)")
    deployment = run_one(aws)
    assert (deployment.state, deployment.failure) == ("queued", Failure.RETRYABLE)


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"])
def test_whatever_state_it_is_in_it_goes(retiring: Retirement, aws: Removing, status: str) -> None:
    aws.stacks[NAME] = Observation(status)
    assert run_one(aws).state == "succeeded"
    assert aws.removals == 1


def test_a_worker_that_dies_while_it_is_removed_does_no_harm(
    retiring: Retirement, aws: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die() -> None:
        aws.stacks[NAME] = Observation("DELETE_IN_PROGRESS", {"Generation": "1"})
        raise KeyboardInterrupt

    aws.while_removing = die
    with pytest.raises(KeyboardInterrupt):
        run_one(aws)
    Stack.objects.filter(name=NAME).update(lease_expires_at=timezone.now() - timedelta(minutes=5))
    (again,) = recover_abandoned()
    seen: list[str] = []

    def observe(stack_name: str, place: Place) -> Observation:
        # CloudFormation goes on by itself, and is done after a few looks.
        seen.append(stack_name)
        return aws.stacks[NAME] if len(seen) < 4 else Observation()

    monkeypatch.setattr(cloudformation, "observe", observe)
    done = run_one(aws)
    assert again.pk == done.pk
    assert done.state == "succeeded"
    assert aws.removals == 1, "it was waited for, and not asked for twice"


def test_a_worker_that_is_asked_to_stop_hands_it_over(retiring: Retirement, aws: Removing) -> None:
    stop = threading.Event()
    aws.while_removing = stop.set
    aws.ends_in = "DELETE_IN_PROGRESS"
    assert run_one(aws, hand_over=stop).state == "queued"
    del aws.stacks[NAME]
    assert run_one(aws).state == "succeeded"


def test_where_every_change_needs_a_second_administrator_so_does_this(
    retiring: Retirement, aws: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, "plans", require_approval="always")
    assert run_one(aws).state == "approval"
    assert aws.removals == 0
    assert NAME in aws.stacks


def test_a_removal_broadens_nothing(retiring: Retirement, aws: Removing, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "plans", require_approval="broadening")
    assert run_one(aws).state == "succeeded"


def test_what_aws_holds_beyond_a_restored_database_is_kept(retiring: Retirement, aws: Removing) -> None:
    aws.stacks[NAME] = holding(99)
    deployment = run_one(aws)
    assert deployment.state == "failed"
    assert "does not know" in deployment.error
    assert aws.removals == 0


def test_a_forgotten_removal_is_taken_up(retiring: Retirement, aws: Removing) -> None:
    Deployment.objects.filter(stack=retiring.group.stack).update(state=Deployment.State.SUPERSEDED)
    assert [deployment.stack.name for deployment in queue_out_of_step()] == [NAME]
    assert run_one(aws).state == "succeeded"


def test_it_is_not_synthesised(retiring: Retirement, aws: Removing) -> None:
    assert _manifests([claim_one()]) == {}


def test_drift_of_what_is_removed_is_that_it_is_there_again(
    retiring: Retirement, aws: Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_one(aws)
    monkeypatch.setattr("control_plane.deployments.iam_users.users_under", lambda path, place: set())
    stack = Stack.objects.get(name=NAME)
    drift.check(stack.pk)
    stack.refresh_from_db()
    assert stack.drift_state == DriftState.IN_SYNC
    with pytest.raises(NothingToRetry):
        deploy_again(stack.deployments.latest("pk"), actor=OPERATOR)
    aws.stacks[NAME] = holding(1)
    drift.check(stack.pk)
    stack.refresh_from_db()
    assert stack.drift_state == DriftState.DRIFTED
    assert [(answer["what"], answer["status"]) for answer in stack.drift] == [("stack", "added")]
    request_repair(stack, actor=OPERATOR)
    assert run_one(aws).state == "succeeded"
    assert NAME not in aws.stacks
