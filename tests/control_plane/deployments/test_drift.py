"""Whether AWS still holds what was deployed: what is found, and what is shown of it."""

import json
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from django.core.exceptions import PermissionDenied
from django_tasks_db.models import DBTaskResult
from moto import mock_aws

from control_plane.access.groups.models import Membership
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent
from control_plane.base.config import config
from control_plane.deployments import cloudformation, differences, drift_detection
from control_plane.deployments.cloudformation import Observation
from control_plane.deployments.differences import HIDDEN
from control_plane.deployments.drift import check
from control_plane.deployments.models import DriftState, Stack
from control_plane.deployments.requests import request_check
from tests.control_plane.fakes import claim_one, holding
from tests.factories import MembershipFactory, UserFactory, settle

pytestmark = pytest.mark.django_db
TEMPLATE = {"Resources": {"Role1": {"Type": "AWS::IAM::Role"}}}


class FakeCloudFormation:
    """A stack as it was deployed, until the test changes something."""

    def __init__(self):
        self.observation = holding(1)
        self.template = TEMPLATE
        self.answers = [{"DetectionStatus": "DETECTION_IN_PROGRESS"}, {"DetectionStatus": "DETECTION_COMPLETE"}]
        self.drifts = []
        self.error = None
        self.asked = []
        # What each stack holds.
        self.held = {}

    def get_template(self, **_):
        return {"TemplateBody": self.template}

    def detect_stack_drift(self, *, StackName):  # noqa: N803 (boto3's own name)
        if self.error:
            raise self.error
        self.asked.append(StackName)
        return {"StackDriftDetectionId": "1"}

    def get_paginator(self, name):
        return SimpleNamespace(paginate=lambda **asked: [{"StackResourceSummaries": self.held.get(asked["StackName"], [])}])

    def describe_stack_drift_detection_status(self, **_):
        return self.answers.pop(0)

    def describe_stack_resource_drifts(self, *, StackResourceDriftStatusFilters, **_):  # noqa: N803 (boto3's own name)
        return {
            "StackResourceDrifts": [
                drift for drift in self.drifts if drift["StackResourceDriftStatus"] in StackResourceDriftStatusFilters
            ]
        }


@pytest.fixture
def aws(monkeypatch):
    fake = FakeCloudFormation()
    monkeypatch.setattr(cloudformation, "client", lambda region: fake)
    monkeypatch.setattr(cloudformation, "observe", lambda *_: fake.observation)
    monkeypatch.setattr(drift_detection, "POLL_SECONDS", 0)
    with mock_aws():
        yield fake


@pytest.fixture
def stack(group, tmp_path):
    """The group's stack, deployed with TEMPLATE."""
    from stacks.group.synthesiser import template_digest

    settle(group.stack)
    path = tmp_path / "template.json"
    path.write_text(json.dumps(TEMPLATE, indent=4))
    Stack.objects.update(template_digest=template_digest(path))
    return Stack.objects.get()


def found(stack):
    """The state that a check records, and the differences."""
    check(stack.pk)
    stack.refresh_from_db()
    assert stack.drift_checked_at is not None
    return stack.drift_state, stack.drift


def resource_drift(status, kind="AWS::IAM::Role", value="everything"):
    differences = [{"PropertyPath": "/Policies/0", "ExpectedValue": "read", "ActualValue": value, "DifferenceType": "NOT_EQUAL"}]
    return {
        "LogicalResourceId": "Role1",
        "ResourceType": kind,
        "StackResourceDriftStatus": status,
        "PropertyDifferences": differences if status == "MODIFIED" else [],
    }


def test_it_works(stack, aws):
    assert found(stack) == (DriftState.IN_SYNC, [])


def test_the_order_and_white_space_of_a_template_are_no_difference(stack, aws):
    aws.template = json.dumps(TEMPLATE, separators=(",", ":"))
    assert found(stack) == (DriftState.IN_SYNC, [])


def test_a_resource_that_was_changed_is_shown_with_what_differs(stack, aws):
    aws.drifts = [resource_drift("MODIFIED")]
    state, (difference,) = found(stack)
    assert state == DriftState.DRIFTED
    assert difference == {
        "what": "resource",
        "logical_id": "Role1",
        "type": "AWS::IAM::Role",
        "status": "changed",
        "properties": [{"path": "/Policies/0", "expected": "read", "actual": "everything"}],
    }


def test_a_resource_that_was_removed_is_named(stack, aws):
    aws.drifts = [resource_drift("DELETED"), resource_drift("IN_SYNC")]
    state, (difference,) = found(stack)
    assert (state, difference["status"], difference["properties"]) == (DriftState.DRIFTED, "deleted", [])


def test_a_secret_s_value_is_shown_nowhere(stack, aws):
    aws.drifts = [resource_drift("MODIFIED", "AWS::SecretsManager::Secret", "hunter2")]
    _, (difference,) = found(stack)
    assert difference["properties"] == [{"path": "/Policies/0", "expected": HIDDEN, "actual": HIDDEN}]
    assert "hunter2" not in json.dumps(stack.drift)


def test_a_long_value_is_cut(stack, aws):
    aws.drifts = [resource_drift("MODIFIED", value="x" * 5000)]
    _, (difference,) = found(stack)
    assert difference["properties"][0]["actual"] == "x" * differences.MAX_VALUE_CHARACTERS + "…"


def test_a_stack_that_somebody_deployed_otherwise_is_shown(stack, aws):
    aws.template = {"Resources": {"Other": {"Type": "AWS::SNS::Topic"}}}
    aws.observation = holding(7)
    state, (difference,) = found(stack)
    assert (state, difference["what"], difference["status"]) == (DriftState.DRIFTED, "template", "changed")
    generation, template = difference["properties"]
    assert generation == {"path": "generation", "expected": "1", "actual": "7"}
    assert template["expected"] == stack.template_digest[:12] != template["actual"]


def test_a_template_that_was_never_recorded_is_not_compared(stack, aws):
    Stack.objects.update(template_digest="")
    aws.template = {"Resources": {}}
    assert found(stack) == (DriftState.IN_SYNC, [])


@pytest.mark.parametrize("gone", [Observation(), holding(1, "DELETE_COMPLETE")])
def test_a_stack_that_is_gone_is_missing(stack, aws, gone):
    aws.observation = gone
    state, (difference,) = found(stack)
    assert (state, difference["what"], difference["status"]) == (DriftState.MISSING, "stack", "missing")


def test_a_stack_that_was_never_there_is_not_missing(stack, aws):
    Stack.objects.update(deployed_generation=0)
    aws.observation = Observation()
    assert found(stack) == (DriftState.UNKNOWN, [])


def test_an_iam_user_that_others_made_in_the_group_s_path_is_shown_and_the_group_s_own_are_not(group, ada, aws, stack):
    MembershipFactory.create(group=group, user=ada, keys=True, deployed=True)
    aws.observation = holding(2)
    own = f"cohort-example-lab-{Membership.objects.get().username}"
    iam = boto3.client("iam")
    for name, path in ((own, "/cohort/example-lab/"), ("intruder", "/cohort/example-lab/"), ("other", "/cohort/example-lab-2/")):
        iam.create_user(UserName=name, Path=path)
    state, (difference,) = found(stack)
    assert (state, difference["logical_id"], difference["status"]) == (DriftState.DRIFTED, "intruder", "added")


def test_a_detection_that_fails_says_why(stack, aws):
    aws.answers = [{"DetectionStatus": "DETECTION_FAILED", "DetectionStatusReason": "Access denied for iam:GetRole"}]
    state, (difference,) = found(stack)
    assert state == DriftState.FAILED
    assert "Access denied for iam:GetRole" in difference["properties"][0]["actual"]


def test_an_aws_that_refuses_is_said(stack, aws):
    aws.error = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DetectStackDrift")
    assert found(stack)[0] == DriftState.FAILED


def test_nothing_is_compared_while_a_run_is_changing_it(group, aws):
    claim_one()
    aws.drifts = [resource_drift("MODIFIED")]
    assert found(group.stack) == (DriftState.UNKNOWN, [])


def test_an_administrator_can_ask_for_a_check(stack, operator):
    request_check(stack, actor=operator)
    assert Stack.objects.get().drift_state == DriftState.CHECKING
    assert DBTaskResult.objects.get().args_kwargs["args"] == [stack.pk]
    assert AuditEvent.objects.filter(action="stack.check").count() == 1


def test_others_cannot(stack, ada):
    with pytest.raises(PermissionDenied):
        request_check(stack, actor=Actor(label=ada.email, channel="web", user=ada))
    assert not DBTaskResult.objects.exists()


def test_nested_stacks_are_looked_into_too_where_there_are_any(stack, aws, group):
    found(stack)
    assert aws.asked == [stack.name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COHORT_HOLDERS_PER_STACK", "1")
        config.cache_clear()
        for number in range(2):
            user = UserFactory.create(email=f"holder{number}@example.org")
            MembershipFactory.create(group=group, user=user, keys=True)
    config.cache_clear()
    settle(group.stack)
    aws.observation, aws.asked = holding(group.stack.generation), []
    nested = {"LogicalResourceId": "More", "PhysicalResourceId": "arn:nested", "ResourceType": "AWS::CloudFormation::Stack"}
    aws.held = {stack.name: [nested | {"ResourceStatus": "UPDATE_COMPLETE"}]}
    aws.drifts, aws.answers = [resource_drift("MODIFIED")], [{"DetectionStatus": "DETECTION_COMPLETE"}] * 2
    state, told = found(stack)
    assert aws.asked == [stack.name, "arn:nested"]
    # The IAM group and the role are not there in this test: that is told too.
    assert (state, [problem["type"] for problem in told].count("AWS::IAM::Role")) == (DriftState.DRIFTED, 2)
