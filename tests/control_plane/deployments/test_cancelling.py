"""Cancelling a run: at once while AWS has changed nothing; by CloudFormation's own rollback once it has begun."""

import pytest

from control_plane.deployments.cancelling import cancel
from control_plane.deployments.engine.heartbeat import Heartbeat
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import NotCancellable
from tests.actors import OPERATOR
from tests.control_plane.fakes import FakeAws, carry_out, claim_one, holding
from tests.factories import MembershipFactory, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def aws(monkeypatch, group, ada):
    """A group that is deployed, with a further change waiting."""
    settle(group.stack)
    MembershipFactory.create(group=group, user=ada)
    return FakeAws(stacks={"Group-example-lab": holding(1)}).install(monkeypatch)


@pytest.fixture
def heart():
    return Heartbeat("worker")


@pytest.fixture
def cancelling(heart):
    """A step of the deployer in which somebody cancels the run, and its worker hears of it."""

    def step(*_):
        deployment = Deployment.objects.get(state="running")
        if not deployment.cancel_requested_at:
            cancel(deployment, actor=OPERATOR)
        heart.beat()

    return step


def test_it_works(aws, heart, cancelling):
    def cancel_and_go_on(target, watcher):
        cancelling()
        watcher.tick()

    aws.while_preparing = cancel_and_go_on
    deployment = carry_out(claim_one(), [aws], heart=heart)
    assert (deployment.state, deployment.error) == ("cancelled", "Cancelled by terminal:tester.")
    assert "AWS has generation 1 (UPDATE_COMPLETE)." in deployment.advice
    assert (deployment.stack.deployed_generation, deployment.stack.lease_owner) == (1, "")
    assert (aws.deployed, aws.taken_back) == ([], [])


def test_what_is_cancelled_just_before_aws_is_asked_is_not_asked_of_it(aws, heart, cancelling):
    aws.while_preparing = cancelling
    assert carry_out(claim_one(), [aws], heart=heart).state == "cancelled"
    assert aws.deployed == []


def test_once_aws_has_begun_it_takes_the_update_back(aws, heart, cancelling):
    aws.while_deploying = cancelling
    aws.outcome = lambda name: holding(1, "UPDATE_ROLLBACK_COMPLETE")
    deployment = carry_out(claim_one(), [aws], heart=heart)
    assert aws.taken_back == ["Group-example-lab"]
    assert (deployment.state, deployment.cloudformation_status) == ("cancelled", "UPDATE_ROLLBACK_COMPLETE")
    assert deployment.log.latest("number").text == "CloudFormation took the update back: UPDATE_ROLLBACK_COMPLETE"


def test_aws_is_asked_once_to_take_it_back(aws, heart, cancelling):
    def tick_often(target, watcher):
        cancelling()
        for _ in range(3):
            watcher.tick()

    aws.while_deploying = tick_often
    carry_out(claim_one(), [aws], heart=heart)
    assert aws.taken_back == ["Group-example-lab"]


def test_what_aws_cannot_take_back_any_more_is_done(aws, heart, cancelling):
    aws.while_deploying, aws.can_take_back = cancelling, False
    deployment = carry_out(claim_one(), [aws], heart=heart)
    assert deployment.state == "succeeded"
    assert any(line.text == "AWS cannot take this change back any more" for line in deployment.log.all())


def test_what_an_earlier_worker_had_begun_is_taken_back_too(aws, heart, cancelling, monkeypatch):
    states = iter(["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"])

    def observe(*_):
        cancelling()
        return holding(1, next(states, "UPDATE_ROLLBACK_COMPLETE"))

    monkeypatch.setattr("control_plane.deployments.cloudformation.observe", observe)
    deployment = carry_out(claim_one(), [aws], heart=heart)
    assert aws.taken_back == ["Group-example-lab"]
    assert (deployment.state, deployment.cloudformation_status) == ("cancelled", "UPDATE_ROLLBACK_COMPLETE")
    assert aws.deployed == []


def test_nothing_is_cancelled_twice_or_after_its_end(aws, heart, cancelling):
    aws.while_preparing = cancelling
    deployment = claim_one()
    cancel(deployment, actor=OPERATOR)
    with pytest.raises(NotCancellable):
        cancel(deployment, actor=OPERATOR)
    assert carry_out(deployment, [aws], heart=heart).state == "cancelled"
    with pytest.raises(NotCancellable):
        cancel(deployment, actor=OPERATOR)
