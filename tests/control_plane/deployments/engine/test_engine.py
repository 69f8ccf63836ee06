"""A run: what it records is what CloudFormation says, whatever happens on the way."""

import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from control_plane.base.aws import AwsUnreachable
from control_plane.base.config import config
from control_plane.deployments.deployers.port import DeployerFailure, DeployerMissing
from control_plane.deployments.deployers.synthesis import Assembly
from control_plane.deployments.engine import leases
from control_plane.deployments.failures import DeploymentProblem, FailedResource
from control_plane.deployments.models import Counter, Deployment, Failure, LogLine, Stack, StoredManifest
from control_plane.deployments.requests import NothingToRetry, deploy_again, request_repair
from tests.control_plane.fakes import FakeAws, claim_one, holding, reconcile_all, run_one
from tests.factories import MembershipFactory, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def aws(monkeypatch):
    return FakeAws().install(monkeypatch)


def raising(error):
    def step(*_):
        raise error

    return step


def only_deployment():
    return Deployment.objects.select_related("stack").get()


def test_it_works(group, aws):
    assert reconcile_all(aws) == 1
    deployment = only_deployment()
    assert (deployment.state, deployment.cloudformation_status, deployment.percent) == ("succeeded", "CREATE_COMPLETE", 100)
    assert (deployment.stack.deployed_generation, deployment.stack.status) == (1, "CREATE_COMPLETE")
    assert (deployment.stack.lease_owner, deployment.stack.lease_expires_at) == ("", None)
    assert deployment.outputs == deployment.stack.outputs == {"Generation": "1"}
    published = Path(config().manifest_store) / "groups/example-lab.json"
    assert published.read_text() == StoredManifest.objects.get(stack=group.stack).text
    lines = list(deployment.log.values_list("text", flat=True))
    assert lines[-1] == "Group-example-lab is CREATE_COMPLETE at generation 1"
    assert "CREATE_COMPLETE  AWS::IAM::Role  Role1" in lines


def test_nothing_waits_and_nothing_runs(aws):
    assert reconcile_all(aws) == 0


def test_a_run_records_what_will_change_how_far_each_resource_is_and_how_long_each_stage_took(group, aws, monkeypatch):
    seen = []
    aws.while_deploying = lambda target, watcher: seen.append(only_deployment())
    monkeypatch.setattr("control_plane.deployments.engine.run_log.GATHER_SECONDS", 0)
    reconcile_all(aws)
    (during,), deployment = seen, only_deployment()
    assert [(resource["logical_id"], resource["state"]) for resource in during.resources] == [
        ("Role1", "done"),
        ("User2", "waiting"),
    ]
    assert (during.resources_done, during.resources_total) == (1, 2)
    assert 30 < during.percent < 95
    assert during.doing == "Making IAM Role"
    assert [resource["logical_id"] for resource in deployment.plan["resources"]] == ["Role1", "User2"]
    # An event that did not come through leaves no resource waiting for ever.
    assert {resource["state"] for resource in deployment.resources} == {"done"}
    assert list(deployment.stages) == ["looking", "publishing", "preparing", "executing", "recording"]
    assert set(Counter.objects.filter(name="stage").values_list("label", flat=True)) == set(deployment.stages)
    assert Counter.objects.get(name="outcome").label == "succeeded"


def test_a_change_that_comes_during_a_run_is_deployed_right_after(group, ada, aws):
    def join(*_):
        if not aws.deployed:
            MembershipFactory.create(group=group, user=ada)

    aws.while_deploying = join
    generations = iter([1, 2])
    aws.outcome = lambda name: holding(next(generations))
    assert reconcile_all(aws) == 2
    assert list(Deployment.objects.order_by("pk").values_list("state", "generation")) == [("succeeded", 1), ("succeeded", 2)]
    assert Stack.objects.get().is_up_to_date


def test_a_resource_that_cannot_be_made_is_named_with_its_reason_and_waits_for_somebody(group, aws):
    aws.outcome = lambda name: holding(0, "ROLLBACK_COMPLETE")
    aws.failure = FailedResource("Federated", "AWS::IAM::Role", "Policy is not valid")
    assert reconcile_all(aws) == 1
    deployment = only_deployment()
    assert (deployment.state, deployment.failure) == ("failed", Failure.PERMANENT)
    assert deployment.error == "CloudFormation could not make AWS::IAM::Role “Federated”: Policy is not valid"
    assert "took its changes back" in deployment.advice
    assert (deployment.cloudformation_status, deployment.stack.status) == ("ROLLBACK_COMPLETE", "ROLLBACK_COMPLETE")
    assert deployment.stack.deployed_generation == 0
    assert deployment.stack.lease_expires_at is None


def test_a_deployer_that_says_well_done_is_not_believed_over_cloudformation(group, aws):
    aws.outcome = lambda name: holding(0, "UPDATE_COMPLETE")
    reconcile_all(aws)
    deployment = only_deployment()
    assert (deployment.state, deployment.attempts, deployment.failure) == ("queued", 1, Failure.RETRYABLE)
    assert "has generation 0 instead of 1" in deployment.error
    assert deployment.stack.deployed_generation == 0


def test_a_deployer_that_failed_after_cloudformation_was_done_is_not_believed_either(group, aws):
    def fail(target, watcher):
        aws.stacks[target.stack_name] = holding(1)
        raise DeployerFailure("The network went away", "Try again", Failure.RETRYABLE)

    aws.while_deploying = fail
    reconcile_all(aws)
    assert (only_deployment().state, only_deployment().error) == ("succeeded", "")


def test_a_deployer_that_failed_before_cloudformation_began_is_the_error(group, aws):
    aws.while_preparing = raising(DeployerFailure("CDK could not deploy it: no bootstrap stack.", "Bootstrap it."))
    reconcile_all(aws)
    assert (only_deployment().error, only_deployment().advice) == ("CDK could not deploy it: no bootstrap stack.", "Bootstrap it.")


def test_an_aws_that_does_not_answer_is_tried_again_by_itself(group, aws, monkeypatch):
    monkeypatch.setattr(
        "control_plane.deployments.cloudformation.observe", raising(AwsUnreachable("AWS does not answer: refused."))
    )
    assert reconcile_all(aws) == 1
    deployment = only_deployment()
    assert (deployment.state, deployment.attempts, deployment.failure) == ("queued", 1, Failure.RETRYABLE)
    assert deployment.not_before > timezone.now()
    assert deployment.error.startswith("AWS does not answer")
    assert "Nothing was changed on AWS" in deployment.advice
    assert deployment.stack.lease_expires_at is None
    assert aws.deployed == []


def test_the_next_try_after_an_outage_succeeds_and_shows_no_error_any_more(group, aws):
    aws.while_preparing = raising(DeployerFailure("socket hang up", "", Failure.RETRYABLE))
    reconcile_all(aws)
    aws.while_preparing = lambda *_: None
    Deployment.objects.update(not_before=None)
    reconcile_all(aws)
    deployment = only_deployment()
    assert (deployment.state, deployment.attempts, deployment.error, deployment.failure) == ("succeeded", 2, "", "")


def test_after_six_tries_it_has_failed_and_says_how_often_it_was_tried(group, aws):
    aws.while_preparing = raising(DeployerFailure("socket hang up", "Check the network.", Failure.RETRYABLE))
    tries = 0
    while Deployment.objects.filter(state="queued").update(not_before=None):
        tries += reconcile_all(aws)
    deployment = only_deployment()
    assert (tries, deployment.state, deployment.failure) == (6, "failed", Failure.RETRYABLE)
    assert deployment.advice == "Check the network. It was tried 6 times; it is tried again in half an hour."
    assert Counter.objects.get(name="tries").count == 5


def test_a_stored_manifest_that_is_damaged_is_a_failed_deployment_that_names_the_field(group, aws):
    stored = StoredManifest.objects.get()
    StoredManifest.objects.update(text=stored.text.replace('"example-lab"', '"Example Lab"'))
    reconcile_all(aws)
    assert (only_deployment().state, only_deployment().failure) == ("failed", Failure.PERMANENT)
    assert "slug" in only_deployment().error
    assert aws.deployed == []


def test_a_manifest_of_a_newer_release_waits_for_a_worker_that_can_read_it(group, aws):
    stored = StoredManifest.objects.get()
    StoredManifest.objects.update(text=json.dumps(json.loads(stored.text) | {"denied_actions": ["s3:PutObject"]}))
    reconcile_all(aws)
    deployment = only_deployment()
    assert (deployment.state, deployment.failure) == ("queued", Failure.RETRYABLE)
    assert "denied_actions" in deployment.error
    assert "worker of the newer release" in deployment.advice
    StoredManifest.objects.update(text=stored.text)
    Deployment.objects.update(not_before=timezone.now())
    reconcile_all(aws)
    assert only_deployment().state == "succeeded"


def test_a_defect_of_ours_leaves_no_deployment_running_for_ever(group, aws):
    aws.while_deploying = raising(ZeroDivisionError())
    reconcile_all(aws)
    assert (only_deployment().state, only_deployment().error) == ("failed", "Cohort itself failed (ZeroDivisionError).")
    assert only_deployment().stack.lease_expires_at is None


def test_a_database_that_does_not_take_a_record_is_tried_again(group, aws):
    aws.while_deploying = raising(OperationalError("deadlock detected"))
    reconcile_all(aws)
    assert only_deployment().failure == Failure.RETRYABLE
    assert only_deployment().is_open
    assert "database" in only_deployment().error


def test_who_lost_the_lease_writes_nothing_any_more(group, aws):
    aws.while_deploying = lambda *_: Stack.objects.update(lease_owner="another")
    reconcile_all(aws)
    assert only_deployment().state == "running"
    assert Stack.objects.get().lease_owner == "another"
    assert Stack.objects.get().deployed_generation == 0


def test_who_lost_the_lease_before_aws_was_asked_does_not_ask_it(group, aws):
    aws.while_preparing = lambda *_: Stack.objects.update(lease_owner="another")
    reconcile_all(aws)
    assert aws.deployed == []
    assert only_deployment().state == "running"


def test_a_run_whose_log_another_worker_writes_stops(group, aws):
    def take_over(*_):
        Deployment.objects.update(attempts=2)
        LogLine.objects.filter(text="The other's").delete()
        last = LogLine.objects.latest("number")
        LogLine.objects.create(deployment=only_deployment(), number=last.number + 20, text="The other's")

    aws.while_deploying = take_over
    reconcile_all(aws)
    assert only_deployment().state == "running"
    assert LogLine.objects.latest("number").text == "The other's"
    assert Stack.objects.get().deployed_generation == 0


def test_a_worker_that_stops_hands_its_run_over_without_counting_the_try(group, aws):
    hand_over = threading.Event()
    aws.while_deploying = lambda *_: hand_over.set()
    deployment = run_one(aws, hand_over=hand_over)
    assert (deployment.state, deployment.attempts, deployment.worker, deployment.not_before) == ("queued", 0, "", None)
    assert deployment.stack.lease_owner == ""
    assert "the next one looks what AWS did" in deployment.log.latest("number").text
    assert reconcile_all(aws) == 1
    assert only_deployment().state == "succeeded"


def test_a_run_waits_for_what_an_earlier_worker_began(group, aws, monkeypatch):
    states = iter([holding(0, "CREATE_IN_PROGRESS"), holding(0, "CREATE_IN_PROGRESS"), holding(1, "CREATE_COMPLETE")])
    monkeypatch.setattr("control_plane.deployments.cloudformation.observe", lambda *_: next(states, holding(1, "CREATE_COMPLETE")))
    deployment = run_one(aws)
    assert deployment.state == "succeeded"
    assert any("waiting until CloudFormation has ended" in line.text for line in deployment.log.all())


def test_where_one_way_to_deploy_is_missing_the_next_is_used(group, aws):
    class Missing:
        def deploy(self, target, watcher):
            raise DeployerMissing("CDK's engine is not installed.", "The plain `cdk deploy` is used instead.")

    assert run_one(Missing(), aws).state == "succeeded"
    assert LogLine.objects.filter(text="CDK's engine is not installed. The plain `cdk deploy` is used instead.").exists()


def test_where_no_way_to_deploy_is_left_it_says_what_to_install(group, aws):
    deployment = run_one()
    assert (deployment.state, deployment.error) == ("failed", "There is no way to deploy here.")
    assert "make install" in deployment.advice


def test_the_assembly_s_template_is_remembered_for_the_drift_check(group, aws, tmp_path):
    assembly = Assembly(tmp_path, {"Group-example-lab": "d" * 64}, {})
    assert run_one(aws, assembly=assembly).stack.template_digest == "d" * 64
    assert (aws.deployed[0].assembly, aws.deployed[0].context) == (tmp_path, "group=example-lab")


def test_a_stack_that_could_not_be_synthesised_fails_with_its_own_reason(group, aws, tmp_path):
    problem = DeploymentProblem("The group has too many analyses.", "Revoke some.", Failure.PERMANENT)
    deployment = run_one(aws, assembly=Assembly(tmp_path, {}, {"Group-example-lab": problem}))
    assert (deployment.state, deployment.error) == ("failed", "The group has too many analyses.")
    assert aws.deployed == []


def test_a_repair_puts_drift_back_and_then_looks_whether_that_is_so(group, operator, aws):
    settle(group.stack)
    aws.stacks["Group-example-lab"] = holding(1)
    request_repair(group.stack, actor=operator)
    reconcile_all(aws)
    assert aws.deployed[0].revert_drift
    assert Deployment.objects.latest("pk").revert_drift is False
    assert [task.task_path for task in DBTaskResult.objects.all()] == ["control_plane.deployments.tasks.check_drift"]


def test_a_stack_that_is_not_there_has_no_drift_to_put_back(group, operator, aws):
    settle(group.stack)
    request_repair(group.stack, actor=operator)
    reconcile_all(aws)
    assert not aws.deployed[0].revert_drift


def test_a_resource_that_somebody_removed_is_put_back_by_the_next_try(group, ada, aws):
    settle(group.stack)
    aws.stacks["Group-example-lab"] = holding(1)
    MembershipFactory.create(group=group, user=ada)
    outcomes = iter([holding(1, "UPDATE_ROLLBACK_COMPLETE"), holding(2)])
    aws.outcome = lambda name: next(outcomes)
    aws.failure = FailedResource("Role1", "AWS::IAM::Role", "Role cohort-example-lab was not found")
    assert reconcile_all(aws) == 2
    assert [target.revert_drift for target in aws.deployed] == [False, True]
    deployment = Deployment.objects.latest("pk")
    assert (deployment.state, deployment.attempts) == ("succeeded", 2)


def test_a_try_that_fails_while_more_is_asked_for_goes_on_with_that(group, ada, aws):
    def join_and_fail(*_):
        MembershipFactory.create(group=group, user=ada)
        raise DeployerFailure("socket hang up", "", Failure.RETRYABLE)

    aws.while_preparing = join_and_fail
    run_one(aws)
    first, second = Deployment.objects.order_by("pk")
    assert (first.state, first.superseded_by, second.state) == ("superseded", second, "queued")
    assert {change.summary for change in second.changes.all()} == {
        "Making the group Example Lab",
        "Giving ada@example.org access to Example Lab",
    }


def test_a_failed_deployment_can_be_asked_for_again(group, operator, aws):
    aws.outcome = lambda name: holding(0, "ROLLBACK_COMPLETE")
    aws.failure = FailedResource("Federated", "AWS::IAM::Role", "Policy is not valid")
    reconcile_all(aws)
    again = deploy_again(only_deployment(), actor=operator)
    with pytest.raises(NothingToRetry, match="on its way already"):
        deploy_again(again, actor=operator)
    aws.outcome = lambda name: holding(1, "CREATE_COMPLETE")
    assert reconcile_all(aws) == 1
    with pytest.raises(NothingToRetry, match="up to date"):
        deploy_again(again, actor=operator)


def test_a_stack_that_was_never_complete_is_removed_and_made_again_by_itself(group, aws):
    outcomes = iter([holding(0, "ROLLBACK_COMPLETE"), holding(1, "CREATE_COMPLETE")])
    aws.outcome = lambda name: next(outcomes)
    assert reconcile_all(aws) == 2
    assert (only_deployment().state, only_deployment().attempts) == ("succeeded", 2)
    assert any("removing it first" in line.text for line in only_deployment().log.all())


def test_an_abandoned_run_goes_on_in_the_same_deployment(group, aws):
    claim_one()
    assert reconcile_all(aws) == 0
    Stack.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert [deployment.state for deployment in leases.recover_abandoned()] == ["queued"]
    assert reconcile_all(aws) == 1
    assert (only_deployment().state, only_deployment().attempts) == ("succeeded", 2)
