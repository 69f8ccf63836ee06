"""The ways out of states that a stack cannot be deployed from: taken by itself, and said in the log."""

from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from control_plane.base.aws import NotAllowed
from control_plane.deployments import cloudformation
from control_plane.deployments.engine import repair
from control_plane.deployments.engine.repair import NotRepaired, settle
from control_plane.deployments.models import Failure, Stack
from tests.control_plane.fakes import configure

STACK = Stack(name="Group-x", account="111122223333", region="us-east-1")
GONE = "gone"


def refusal(message, code="ValidationError"):
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


class FakeCloudFormation:
    """Shows the stack in each of `states` in turn, the last one from then on, and notes what it is asked to do."""

    def __init__(self, *states):
        self.states = list(states)
        self.asked = []
        self.resources = {}
        self.events = []
        self.refuses = None

    def describe_stacks(self, **_):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state == GONE:
            raise refusal("Stack with id Group-x does not exist")
        return {"Stacks": [{"StackStatus": state, "StackId": "arn:the-very-stack", "Outputs": []}]}

    def describe_stack_events(self, **_):
        return {"StackEvents": self.events}

    def list_stack_resources(self, name_or_id):
        """Of the stack, or, by its id, of one nested in it, whose resources' names begin with its own."""
        inside = name_or_id.rpartition("/")[2] if name_or_id.startswith("arn:") else ""
        found = []
        for name, status in self.resources.items():
            stack, _, logical_id = name.rpartition(".")
            if stack == inside:
                kind = "AWS::CloudFormation::Stack" if f"{logical_id}." in " ".join(self.resources) else "AWS::IAM::User"
                arn = f"arn:aws:cloudformation:us-east-1:1:stack/Group-x-{logical_id}/{logical_id}"
                found.append(
                    {"LogicalResourceId": logical_id, "ResourceStatus": status, "ResourceType": kind, "PhysicalResourceId": arn}
                )
        return {"StackResourceSummaries": found}

    def get_paginator(self, name):
        if name == "list_stack_resources":
            return SimpleNamespace(paginate=lambda **asked: [self.list_stack_resources(asked["StackName"])])
        return SimpleNamespace(paginate=lambda **_: [{"StackEvents": self.events}])

    def __getattr__(self, name):
        def ask(**arguments):
            self.asked.append((name, arguments))
            if self.refuses:
                raise self.refuses

        return ask


@pytest.fixture
def install(monkeypatch):
    monkeypatch.setattr(repair, "POLL_SECONDS", 0)

    def with_states(*states):
        aws = FakeCloudFormation(*states)
        monkeypatch.setattr(cloudformation, "client", lambda region: aws)
        return aws

    return with_states


def settled():
    """What `settle` returns, and what it told and how often it ticked on the way."""
    told: list[str] = []
    ticks: list[int] = []
    observation, half_done = settle(STACK, tell=told.append, tick=lambda: ticks.append(1))
    return observation, half_done, told, len(ticks)


@pytest.mark.parametrize("state", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", GONE])
def test_it_leaves_a_stack_alone_that_can_be_deployed_to(install, state):
    aws = install(state)
    observation, half_done, told, _ = settled()
    assert observation.status == ("" if state == GONE else state)
    assert (half_done, told, aws.asked) == (False, [], [])


def test_it_waits_while_cloudformation_is_at_work(install):
    install("UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
    observation, _, told, ticks = settled()
    assert (observation.status, ticks) == ("UPDATE_COMPLETE", 2)
    assert told == ["Group-x is UPDATE_IN_PROGRESS: waiting until CloudFormation has ended"]


def test_what_the_worker_hears_meanwhile_ends_the_waiting(install):
    install("UPDATE_IN_PROGRESS")

    def tick():
        raise KeyError("lost")

    with pytest.raises(KeyError):
        settle(STACK, tell=lambda line: None, tick=tick)


def test_what_takes_too_long_is_looked_at_again_later(install, monkeypatch):
    install("UPDATE_IN_PROGRESS")
    configure(monkeypatch, "engine.repair", cohort_deploy_seconds=0)
    with pytest.raises(NotRepaired, match="longer than 0 s") as error:
        settled()
    assert error.value.problem.kind == Failure.RETRYABLE


@pytest.mark.parametrize("state", sorted(repair.DELETE_FIRST_STATES))
def test_a_stack_that_was_never_complete_is_removed_so_that_it_can_be_made_again(install, state):
    aws = install(state, "DELETE_IN_PROGRESS", GONE)
    observation, half_done, told, _ = settled()
    assert (observation.status, half_done) == ("", False)
    # By its id: a stack of the same name that somebody makes meanwhile is not the one to remove.
    assert aws.asked == [("delete_stack", {"StackName": "arn:the-very-stack"})]
    assert f"Group-x is {state}" in told[0]


def test_a_stack_that_cannot_be_removed_names_what_holds_it_and_waits_for_somebody(install):
    aws = install("ROLLBACK_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_FAILED")
    events = iter([[{"EventId": "old"}]])
    failed = {"EventId": "new", "ResourceStatus": "DELETE_FAILED", "ResourceStatusReason": "It is in use."}
    failed |= {"LogicalResourceId": "Role1", "ResourceType": "AWS::IAM::Role"}
    aws.describe_stack_events = lambda **_: {"StackEvents": next(events)}
    aws.events = [failed, {"EventId": "old", "ResourceStatus": "CREATE_FAILED"}]
    with pytest.raises(NotRepaired, match="“Role1” could not be removed: It is in use") as error:
        settled()
    assert error.value.problem.kind == Failure.PERMANENT


def test_a_rollback_that_failed_is_gone_on_with(install):
    aws = install("UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")
    observation, half_done, _, _ = settled()
    assert (observation.status, half_done) == ("UPDATE_ROLLBACK_COMPLETE", True)
    assert aws.asked == [("continue_update_rollback", {"StackName": "Group-x"})]


def test_an_update_that_stopped_half_way_is_rolled_back(install):
    aws = install("UPDATE_FAILED", "UPDATE_ROLLBACK_COMPLETE")
    observation, half_done, _, _ = settled()
    assert (observation.status, half_done) == ("UPDATE_ROLLBACK_COMPLETE", True)
    assert aws.asked == [("rollback_stack", {"StackName": "Group-x"})]


def test_what_fails_again_is_left_out_of_the_rollback_and_named(install):
    aws = install("UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE")
    aws.resources = {"Role1": "UPDATE_FAILED", "User2": "UPDATE_COMPLETE", "Key3": "UPDATE_FAILED"}
    _, half_done, told, _ = settled()
    assert half_done
    assert aws.asked[-1] == ("continue_update_rollback", {"StackName": "Group-x", "ResourcesToSkip": ["Key3", "Role1"]})
    assert "going on without Key3, Role1" in told[-1]


def test_what_fails_again_in_a_nested_stack_is_named_by_that_stack(install):
    aws = install("UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE")
    aws.resources = {"KeyHolders1": "UPDATE_FAILED", "KeyHolders1.User4": "UPDATE_FAILED", "KeyHolders1.User5": "UPDATE_COMPLETE"}
    settled()
    assert aws.asked[-1][1]["ResourcesToSkip"] == ["Group-x-KeyHolders1.User4"]


def test_where_the_resources_say_nothing_the_events_of_this_rollback_do(install):
    aws = install("UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_COMPLETE")

    def event(name, status):
        return {"LogicalResourceId": name, "ResourceStatus": status}

    aws.events = [
        event("Group-x", "UPDATE_ROLLBACK_FAILED"),
        event("Role1", "UPDATE_FAILED"),
        event("Group-x", "UPDATE_ROLLBACK_IN_PROGRESS"),
        event("Earlier", "UPDATE_FAILED"),
    ]
    settled()
    assert aws.asked[-1][1]["ResourcesToSkip"] == ["Role1"]


def test_what_not_even_that_mends_waits_for_somebody(install):
    aws = install("UPDATE_ROLLBACK_FAILED")
    aws.resources = {"Role1": "UPDATE_FAILED"}
    with pytest.raises(NotRepaired, match="not even without Role1") as error:
        settled()
    assert error.value.problem.kind == Failure.PERMANENT


def test_what_somebody_else_began_already_is_waited_for(install):
    aws = install("UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE")
    aws.refuses = refusal("Stack:Group-x is in UPDATE_ROLLBACK_IN_PROGRESS state and can not continue its rollback")
    assert settled()[0].status == "UPDATE_ROLLBACK_COMPLETE"


def test_a_way_out_that_aws_refuses_is_said(install):
    install("UPDATE_ROLLBACK_FAILED").refuses = refusal("no", "AccessDenied")
    with pytest.raises(NotAllowed):
        settled()
