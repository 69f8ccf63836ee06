"""CloudFormation's own drift detection, as far as it came: what failed hides nothing of the rest, and what is false is left out."""

import json
import logging
from typing import Any

import boto3
import pytest
from django_tasks_db.models import DBTaskResult
from moto import mock_aws

from control_plane.access.groups.models import Group
from control_plane.deployments import cloudformation, drift, drift_detection
from control_plane.deployments.drift_ignored import FALSE_DRIFT
from control_plane.deployments.models import DriftState, Stack
from control_plane.deployments.tasks import check_drift
from tests.control_plane.fakes import holding
from tests.factories import settle

pytestmark = pytest.mark.django_db
REASON = "User: arn:aws:iam::111122223333:user/w is not authorized to perform: s3:GetAccelerateConfiguration"


class FakeDetection:
    """A stack whose detection ends as the test says, after as many looks."""

    def __init__(self) -> None:
        self.looks, self.status, self.why, self.begun = 0, "DETECTION_COMPLETE", "", 0
        self.drifts: list[dict[str, Any]] = []

    def get_template(self, **_: str) -> dict[str, Any]:
        return {"TemplateBody": {"Resources": {}}}

    def detect_stack_drift(self, **_: str) -> dict[str, str]:
        self.begun += 1
        return {"StackDriftDetectionId": "1"}

    def describe_stack_drift_detection_status(self, **_: str) -> dict[str, str]:
        self.looks -= 1
        if self.looks >= 0:
            return {"DetectionStatus": "DETECTION_IN_PROGRESS"}
        return {"DetectionStatus": self.status} | ({"DetectionStatusReason": self.why} if self.why else {})

    def describe_stack_resource_drifts(self, *, StackResourceDriftStatusFilters: list[str], **_: str) -> dict[str, Any]:  # noqa: N803
        asked = [drift for drift in self.drifts if drift["StackResourceDriftStatus"] in StackResourceDriftStatusFilters]
        return {"StackResourceDrifts": asked}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, group: Group) -> Any:
    settle(group.stack)
    fake = FakeDetection()
    monkeypatch.setattr(cloudformation, "client", lambda region: fake)
    monkeypatch.setattr(cloudformation, "observe", lambda *_: holding(1))
    monkeypatch.setattr(cloudformation, "resources", lambda *_: [])
    monkeypatch.setattr(drift_detection, "POLL_SECONDS", 0)
    with mock_aws():
        boto3.client("iam").create_role(RoleName="cohort-example-lab", Path="/cohort/example-lab/", AssumeRolePolicyDocument="{}")
        yield fake


def checked() -> tuple[str, list[dict[str, Any]]]:
    check_drift.call(Stack.objects.get().pk)
    stack = Stack.objects.get()
    return stack.drift_state, stack.drift


def bucket_drift(path: str, expected: Any, actual: str = "null") -> dict[str, Any]:
    return {
        "LogicalResourceId": "Bucket1",
        "PhysicalResourceId": "cohort-ephys",
        "ResourceType": "AWS::S3::Bucket",
        "StackResourceDriftStatus": "MODIFIED",
        "PropertyDifferences": [
            {"PropertyPath": path, "ExpectedValue": json.dumps(expected), "ActualValue": actual, "DifferenceType": "REMOVE"}
        ],
    }


def unknown(reason: str = REASON) -> dict[str, Any]:
    told = {"LogicalResourceId": "Bucket1", "ResourceType": "AWS::S3::Bucket", "StackResourceDriftStatus": "UNKNOWN"}
    return told | ({"DriftStatusReason": reason} if reason else {})


def test_a_detection_that_failed_for_one_resource_shows_the_others_and_which_could_not_be_read_and_why(aws: Any) -> None:
    """Results are available for the others (CloudFormation API reference, DescribeStackDriftDetectionStatus)."""
    aws.status, aws.why = "DETECTION_FAILED", "Failed to detect drift on resource [Bucket1]"
    deleted = {"LogicalResourceId": "Role1", "ResourceType": "AWS::IAM::Role", "StackResourceDriftStatus": "DELETED"}
    aws.drifts = [unknown(), deleted]
    state, (bucket, role) = checked()
    assert state == DriftState.DRIFTED
    assert (role["logical_id"], role["status"]) == ("Role1", "deleted")
    assert (bucket["logical_id"], bucket["status"], bucket["properties"][0]["actual"]) == ("Bucket1", "unread", REASON)


@pytest.mark.parametrize(("reason", "shown"), [(REASON, REASON), ("", "because of the weather")])
def test_what_could_not_be_read_is_not_called_as_deployed(aws: Any, reason: str, shown: str) -> None:
    aws.status, aws.why, aws.drifts = "DETECTION_FAILED", "because of the weather", [unknown(reason)]
    state, (bucket,) = checked()
    assert (state, bucket["properties"][0]["actual"]) == (DriftState.FAILED, shown)


def test_a_resource_that_is_unknown_in_a_detection_that_is_complete_is_not_called_as_deployed_either(aws: Any) -> None:
    aws.drifts = [unknown()]
    assert checked()[0] == DriftState.FAILED


def test_a_detection_that_is_slow_is_gone_on_with_in_a_further_task_and_not_begun_again(aws: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(drift, "STEP_SECONDS", -1)
    aws.looks = 2
    aws.drifts = [bucket_drift("/Tags", "x")]
    for _ in range(2):
        check_drift.call(Stack.objects.get().pk, **progress())
        assert Stack.objects.get().drift_state == DriftState.CHECKING
    check_drift.call(Stack.objects.get().pk, **progress())
    assert (Stack.objects.get().drift_state, aws.begun) == (DriftState.DRIFTED, 1)


def progress() -> dict[str, Any]:
    """What the last step handed on."""
    task = DBTaskResult.objects.order_by("-enqueued_at").first()
    return {"progress": task.args_kwargs["args"][1]} if task else {}


def test_a_check_that_a_deployment_came_into_begins_again(aws: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(drift, "STEP_SECONDS", -1)
    aws.looks = 1
    checked()
    Stack.objects.update(last_started_at="2026-01-01T00:00:00Z")
    check_drift.call(Stack.objects.get().pk, **progress())
    assert aws.begun == 2


def test_a_detection_that_does_not_end_is_given_up_with_what_else_was_found(aws: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(drift, "DETECTION_SECONDS", -1)
    aws.looks = 100
    Stack.objects.update(template_digest="d" * 64)
    state, (template, stack) = checked()
    assert (state, template["what"]) == (DriftState.DRIFTED, "template")
    assert "took longer" in stack["properties"][0]["actual"]


# What AWS reports falsely.

ENCRYPTED = {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
OWNED: Any = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
PATH_OF_DAYS = "/LifecycleConfiguration/Rules/1/Transitions/0/TransitionInDays"
FALSE = [("/BucketEncryption", ENCRYPTED), ("/OwnershipControls", OWNED), (PATH_OF_DAYS, 0)]


@pytest.fixture
def bucket(aws: Any) -> Any:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="cohort-ephys")
    rules: Any = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
    s3.put_bucket_encryption(Bucket="cohort-ephys", ServerSideEncryptionConfiguration={"Rules": rules})
    s3.put_bucket_ownership_controls(Bucket="cohort-ephys", OwnershipControls=OWNED)
    return s3


@pytest.mark.parametrize(("path", "expected"), FALSE)
def test_a_false_report_is_left_out_and_the_worker_s_log_says_why(
    aws: Any, bucket: Any, path: str, expected: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Roadmap issues 2554, 1106 and 966 of CloudFormation."""
    aws.drifts = [bucket_drift(path, expected)]
    with caplog.at_level(logging.INFO):
        assert checked() == (DriftState.IN_SYNC, [])
    assert "cloudformation-coverage-roadmap/issues/" in caplog.text


def test_what_is_really_gone_is_reported_though_it_has_the_form_of_a_false_report(aws: Any, bucket: Any) -> None:
    bucket.delete_bucket_ownership_controls(Bucket="cohort-ephys")
    bucket.put_bucket_encryption(
        Bucket="cohort-ephys",
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]},
    )
    for path, expected in (*FALSE[:2], (PATH_OF_DAYS, 30)):
        aws.drifts = [bucket_drift(path, expected)]
        assert checked()[0] == DriftState.DRIFTED, path


def test_another_value_and_another_property_are_no_false_reports(aws: Any, bucket: Any) -> None:
    for drifted in (bucket_drift("/OwnershipControls", OWNED, '{"Rules":[]}'), bucket_drift("/Tags", "x")):
        aws.drifts = [drifted]
        assert checked()[0] == DriftState.DRIFTED


def test_a_bucket_that_cannot_be_asked_is_reported(aws: Any) -> None:
    aws.drifts = [bucket_drift("/BucketEncryption", ENCRYPTED)]
    assert checked()[0] == DriftState.DRIFTED


def test_a_false_report_beside_a_true_one_leaves_the_true_one_alone(aws: Any, bucket: Any) -> None:
    both = bucket_drift("/OwnershipControls", OWNED)
    both["PropertyDifferences"] += bucket_drift("/Tags", "x")["PropertyDifferences"]
    aws.drifts = [both]
    state, (difference,) = checked()
    assert (state, [item["path"] for item in difference["properties"]]) == (DriftState.DRIFTED, ["/Tags"])


def test_each_false_report_has_a_reason_and_a_source() -> None:
    assert all(len(item.reason) > 20 and item.source.startswith("https://") for item in FALSE_DRIFT)
