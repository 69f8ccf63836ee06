"""The engine: what it records is what CloudFormation says, whatever happens on the way."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.audit.actors import Actor
from control_plane.config import config
from control_plane.deployments import claims
from control_plane.deployments.cloudformation import AwsUnreachable, FailedResource
from control_plane.deployments.deployer import DeployerFailure, Target
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from control_plane.deployments.requests import NothingToRetry, deploy_again
from control_plane.groups.models import Access, Group
from control_plane.groups.services.members import add_member
from tests.control_plane.fakes import FakeAws, holding, reconcile_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    fake = FakeAws().install(monkeypatch)
    fake.outcome = lambda name: holding(Stack.objects.get(name=name).generation, "CREATE_COMPLETE")
    return fake


def only_deployment() -> Deployment:
    return Deployment.objects.select_related("stack").get()


def test_it_works(group: Group, aws: FakeAws) -> None:
    assert reconcile_all(aws) == 1
    deployment = only_deployment()
    assert (deployment.state, deployment.cloudformation_status, deployment.percent) == ("succeeded", "CREATE_COMPLETE", 100)
    assert deployment.stack.deployed_generation == 1
    assert deployment.stack.lease_expires_at is None
    assert deployment.outputs == {"Generation": "1"}
    published = Path(config().manifest_store) / "groups/example-lab.json"
    assert published.read_text() == StoredManifest.objects.get(stack=group.stack).text
    lines = list(deployment.log.values_list("text", flat=True))
    assert lines[-1] == "Group-example-lab is CREATE_COMPLETE at generation 1"
    assert any("AWS::IAM::Role" in line for line in lines)


def test_nothing_waits_and_nothing_runs(aws: FakeAws) -> None:
    assert reconcile_all(aws) == 0


def test_a_change_that_comes_during_a_run_is_deployed_right_after(group: Group, ada: User, operator: Actor, aws: FakeAws) -> None:
    def join(target: Target) -> None:
        if not aws.deployed:
            add_member(group=group, user=ada, access=Access.FEDERATED, actor=operator)

    aws.while_deploying = join
    generations = iter([1, 2])
    aws.outcome = lambda name: holding(next(generations))
    assert reconcile_all(aws) == 2
    assert list(Deployment.objects.order_by("pk").values_list("state", "generation")) == [("succeeded", 1), ("succeeded", 2)]
    assert Stack.objects.get().is_up_to_date


def test_a_resource_that_cannot_be_made_is_named_with_its_reason(group: Group, aws: FakeAws) -> None:
    aws.outcome = lambda name: holding(0, "ROLLBACK_COMPLETE")
    aws.failure = FailedResource("Federated", "AWS::IAM::Role", "Policy is not valid")
    reconcile_all(aws)
    deployment = only_deployment()
    assert deployment.state == "failed"
    assert deployment.error == "CloudFormation could not make AWS::IAM::Role “Federated”: Policy is not valid"
    assert "took its changes back" in deployment.advice
    assert deployment.cloudformation_status == "ROLLBACK_COMPLETE"
    assert deployment.stack.deployed_generation == 0
    assert deployment.stack.lease_expires_at is None


def test_a_deployer_that_says_well_done_is_not_believed_over_cloudformation(group: Group, aws: FakeAws) -> None:
    aws.outcome = lambda name: holding(0, "UPDATE_COMPLETE")
    reconcile_all(aws)
    assert only_deployment().state == "failed"
    assert "holds generation 0 instead of 1" in only_deployment().error


def test_a_deployer_that_failed_after_cloudformation_was_done_is_not_believed_either(group: Group, aws: FakeAws) -> None:
    def fail(target: Target) -> None:
        aws.stacks[target.stack_name] = holding(1)
        raise DeployerFailure("The network went away", "Try again")

    aws.while_deploying = fail
    reconcile_all(aws)
    assert only_deployment().state == "succeeded"


def test_an_aws_that_does_not_answer_is_a_failed_deployment_that_says_so(
    group: Group, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise AwsUnreachable("AWS does not answer: connection refused")

    monkeypatch.setattr("control_plane.deployments.cloudformation.observe", silent)
    reconcile_all(aws)
    assert only_deployment().error.startswith("AWS does not answer")
    assert "Nothing was changed on AWS" in only_deployment().advice
    assert aws.deployed == []


def test_a_stored_manifest_that_is_damaged_is_a_failed_deployment_that_names_the_field(group: Group, aws: FakeAws) -> None:
    stored = StoredManifest.objects.get()
    StoredManifest.objects.update(text=stored.text.replace('"example-lab"', '"Example Lab"'))
    reconcile_all(aws)
    assert "slug" in only_deployment().error
    assert aws.deployed == []


def test_a_defect_of_ours_leaves_no_deployment_running_for_ever(group: Group, aws: FakeAws) -> None:
    def crash(target: Target) -> None:
        raise ZeroDivisionError

    aws.while_deploying = crash
    reconcile_all(aws)
    assert only_deployment().state == "failed"
    assert only_deployment().error == "Cohort itself failed (ZeroDivisionError)."
    assert only_deployment().stack.lease_expires_at is None


def test_two_workers_never_have_the_same_stack(group: Group, ada: User, operator: Actor) -> None:
    first = claims.claim_next("one")
    assert first is not None
    add_member(group=group, user=ada, access=Access.FEDERATED, actor=operator)
    assert claims.claim_next("two") is None


def test_an_abandoned_run_is_ended_and_its_stack_deployed_again(group: Group, aws: FakeAws) -> None:
    lost = claims.claim_next("a worker that dies")
    assert lost is not None
    assert reconcile_all(aws) == 0
    Stack.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert reconcile_all(aws) == 1
    assert list(Deployment.objects.order_by("pk").values_list("state", flat=True)) == ["failed", "succeeded"]
    for deployment in Deployment.objects.all():
        assert deployment.changes.get().summary == "Making the group Example Lab"
    assert Stack.objects.get().is_up_to_date


def test_who_lost_the_lease_writes_nothing_any_more(group: Group, aws: FakeAws) -> None:
    aws.while_deploying = lambda target: Stack.objects.update(lease_owner="another") and None
    reconcile_all(aws)
    assert only_deployment().state == "running"
    assert Stack.objects.get().lease_owner == "another"


def test_a_failed_deployment_can_be_asked_for_again(group: Group, operator: Actor, aws: FakeAws) -> None:
    aws.outcome = lambda name: holding(0, "ROLLBACK_COMPLETE")
    reconcile_all(aws)
    again = deploy_again(only_deployment(), actor=operator)
    with pytest.raises(NothingToRetry, match="on its way already"):
        deploy_again(again, actor=operator)
    aws.outcome = lambda name: holding(1, "CREATE_COMPLETE")
    assert reconcile_all(aws) == 1
    with pytest.raises(NothingToRetry, match="up to date"):
        deploy_again(again, actor=operator)
