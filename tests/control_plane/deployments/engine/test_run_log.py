"""A running deployment's log: stored in small heaps, with the progress that it tells, and by its own worker alone."""

import pytest

from control_plane.deployments.deployers.port import ResourceEvent
from control_plane.deployments.engine import run_log
from control_plane.deployments.engine.run_log import MAX_LINE_CHARACTERS, DeploymentLog, DeploymentTakenOver
from control_plane.deployments.models import Deployment, LogLine
from tests.control_plane.fakes import PLAN, claim_one

pytestmark = pytest.mark.django_db
ROLE, USER = ("Role1", "AWS::IAM::Role"), ("User2", "AWS::IAM::User")


@pytest.fixture
def deployment(group):
    return claim_one()


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(run_log, "GATHER_SECONDS", 0)


def stored():
    return list(LogLine.objects.values_list("number", "text"))


def states():
    return {resource["logical_id"]: resource["state"] for resource in Deployment.objects.get().resources}


@pytest.mark.usefixtures("at_once")
def test_it_works(deployment):
    written = DeploymentLog(deployment)
    written.step("Looking at what AWS holds now", 2)
    written.write("second")
    assert stored() == [(1, "Looking at what AWS holds now"), (2, "second")]
    deployment.refresh_from_db()
    assert (deployment.doing, deployment.percent) == ("Looking at what AWS holds now", 2)


def test_lines_wait_for_others_and_are_stored_together(deployment, django_assert_num_queries, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("control_plane.deployments.engine.run_log.time.monotonic", lambda: clock[0])
    written = DeploymentLog(deployment)
    written.write("first")
    with django_assert_num_queries(0):
        for number in range(50):
            written.write(f"line {number}")
    assert stored() == [(1, "first")]
    clock[0] += run_log.GATHER_SECONDS
    written.flush_if_due()
    assert len(stored()) == 51


def test_what_waits_can_be_stored_at_once_and_nothing_is_stored_twice(deployment):
    written = DeploymentLog(deployment)
    written.write("first")
    written.write("last")
    written.flush()
    written.flush()
    assert [text for _, text in stored()] == ["first", "last"]


@pytest.mark.usefixtures("at_once")
def test_a_further_try_goes_on_after_the_lines_of_the_first(deployment):
    DeploymentLog(deployment).write("first")
    DeploymentLog(deployment).write("second")
    assert stored() == [(1, "first"), (2, "second")]


@pytest.mark.usefixtures("at_once")
def test_blank_lines_are_left_out_and_long_ones_cut(deployment):
    written = DeploymentLog(deployment)
    written.write("  ")
    written.write("x" * (MAX_LINE_CHARACTERS + 1))
    assert stored() == [(1, "x" * MAX_LINE_CHARACTERS)]


@pytest.mark.usefixtures("at_once")
def test_each_resource_goes_from_waiting_to_done_and_the_percentage_with_it(deployment):
    written = DeploymentLog(deployment)
    written.plan(PLAN)
    assert states() == {"Role1": "waiting", "User2": "waiting"}
    assert Deployment.objects.get().percent == run_log.EXECUTING_PERCENT
    written.resource(ResourceEvent(*ROLE, "CREATE_IN_PROGRESS"))
    assert states()["Role1"] == "running"
    assert Deployment.objects.get().doing == "Making IAM Role"
    written.resource(ResourceEvent(*ROLE, "CREATE_COMPLETE"))
    deployment.refresh_from_db()
    assert states() == {"Role1": "done", "User2": "waiting"}
    assert (deployment.resources_done, deployment.resources_total, deployment.percent) == (1, 2, 62)
    assert deployment.resources[0]["seconds"] >= 0
    written.resource(ResourceEvent(*USER, "CREATE_COMPLETE"))
    assert Deployment.objects.get().percent == run_log.EXECUTED_PERCENT


@pytest.mark.usefixtures("at_once")
def test_a_resource_that_failed_keeps_its_reason(deployment):
    written = DeploymentLog(deployment)
    written.plan(PLAN)
    written.resource(ResourceEvent(*USER, "CREATE_FAILED", "The name is taken."))
    resource = Deployment.objects.get().resources[1]
    assert (resource["state"], resource["reason"]) == ("failed", "The name is taken.")
    assert stored() == [(1, "CREATE_FAILED  AWS::IAM::User  User2  The name is taken.")]


@pytest.mark.usefixtures("at_once")
def test_the_stack_s_own_events_are_lines_and_no_resource(deployment):
    written = DeploymentLog(deployment)
    written.plan(PLAN)
    written.resource(ResourceEvent("Group-example-lab", "AWS::CloudFormation::Stack", "UPDATE_COMPLETE"))
    assert states() == {"Role1": "waiting", "User2": "waiting"}
    assert [text for _, text in stored()] == ["UPDATE_COMPLETE  AWS::CloudFormation::Stack  Group-example-lab"]


@pytest.mark.usefixtures("at_once")
def test_a_resource_that_was_in_no_plan_does_no_harm(deployment):
    written = DeploymentLog(deployment)
    written.resource(ResourceEvent("Other", "AWS::SNS::Topic", "DELETE_IN_PROGRESS"))
    written.flush()
    deployment.refresh_from_db()
    assert (deployment.doing, deployment.resources) == ("Removing SNS Topic", [])


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("taken_over", [{"attempts": 2}, {"worker": ""}])
def test_who_lost_the_deployment_writes_neither_lines_nor_progress(deployment, taken_over):
    written = DeploymentLog(deployment)
    written.write("mine")
    Deployment.objects.update(**taken_over)
    with pytest.raises(DeploymentTakenOver):
        written.step("Still at it", 50)
    assert stored() == [(1, "mine")]
    assert Deployment.objects.get().percent == 0


@pytest.mark.usefixtures("at_once")
def test_two_writers_never_mix(deployment):
    one, other = DeploymentLog(deployment), DeploymentLog(deployment)
    other.write("the other's")
    with pytest.raises(DeploymentTakenOver):
        one.write("mine")
    assert stored() == [(1, "the other's")]
