"""A retired group's data: kept, archived or deleted, also by a worker that takes over from another."""

from datetime import timedelta
from typing import Any

import boto3
import pytest
from django.utils import timezone
from moto import mock_aws

from control_plane.access.groups.models import Analysis, Group
from control_plane.access.retirement import data_cleanup, s3
from control_plane.access.retirement.inventory import run_survey
from control_plane.access.retirement.models import DataChoice, DataPlace, Retirement, Survey
from control_plane.base.audit.models import AuditEvent
from control_plane.base.aws import Place
from tests.control_plane.retirement_rows import BUCKET, ask_for, carry_out, lab

__all__ = ["lab"]


@pytest.fixture
def bucket() -> Any:
    """The analysis bucket on S3, with the group's objects and another's."""
    with mock_aws():
        s3.client.cache_clear()
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        for number in range(5):
            client.put_object(Bucket=BUCKET, Key=f"example-lab/inputs/{number}.csv", Body=b"1234")
        client.put_object(Bucket=BUCKET, Key="example-lab/inputs/0.csv", Body=b"12345", Tagging="kind=table")
        client.delete_object(Bucket=BUCKET, Key="example-lab/inputs/1.csv")
        client.create_multipart_upload(Bucket=BUCKET, Key="example-lab/inputs/half.bin")
        client.put_object(Bucket=BUCKET, Key="example-lab-2/inputs/a.csv", Body=b"theirs")
        yield client
    s3.client.cache_clear()


def tags(client: Any, key: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in client.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]}


def work_to_the_end(retirement: Retirement) -> int:
    """As a worker would, slice by slice. Returns how many slices that took."""
    slices = 0
    retirement.refresh_from_db()
    while retirement.state == Retirement.State.DATA:
        data_cleanup.clean_up_data(retirement.pk)
        slices += 1
        retirement.refresh_from_db()
        assert slices < 50
    return slices


def test_kept_data_is_not_touched(lab: Group, bucket: Any) -> None:
    assert carry_out(ask_for(lab)).state == Retirement.State.DONE
    assert tags(bucket, "example-lab/inputs/2.csv") == {}


def test_archived_data_is_tagged_and_keeps_its_other_tags(lab: Group, bucket: Any) -> None:
    retirement = carry_out(ask_for(lab, data=DataChoice.ARCHIVE))
    assert retirement.state == Retirement.State.DATA
    work_to_the_end(retirement)
    assert tags(bucket, "example-lab/inputs/0.csv") == {"kind": "table", "cohort-archive": "true"}
    assert tags(bucket, "example-lab/inputs/4.csv") == {"cohort-archive": "true"}
    assert tags(bucket, "example-lab-2/inputs/a.csv") == {}
    place = retirement.places.get()
    assert (place.objects_done, place.bytes_done, place.is_done) == (4, 17, True)


def test_deleted_data_leaves_no_version_and_no_upload(lab: Group, bucket: Any) -> None:
    retirement = carry_out(ask_for(lab, data=DataChoice.DELETE))
    work_to_the_end(retirement)
    left = bucket.list_object_versions(Bucket=BUCKET)
    assert [version["Key"] for version in left.get("Versions", [])] == ["example-lab-2/inputs/a.csv"]
    assert "DeleteMarkers" not in left
    assert bucket.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    assert retirement.places.get().objects_done == 7
    details = AuditEvent.objects.get(action="group.retired").details
    assert details["places"][0]["objects"] == 7


@pytest.mark.parametrize("choice", [DataChoice.ARCHIVE, DataChoice.DELETE])
def test_a_worker_that_dies_amid_the_data_is_followed_by_another(
    lab: Group, bucket: Any, choice: DataChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "TAGGED_PER_STEP", 2)
    monkeypatch.setattr(s3, "PER_CALL", 2)
    retirement = carry_out(ask_for(lab, data=choice))
    steps, real = iter(range(100)), data_cleanup._step

    def dying(*arguments: Any) -> bool:
        if next(steps) == 1:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(data_cleanup, "_step", dying)
    with pytest.raises(KeyboardInterrupt):
        data_cleanup.clean_up_data(retirement.pk)
    data_cleanup.clean_up_data(retirement.pk)
    assert retirement.places.get().objects_done == 2, "the dead worker's lease holds still"
    Retirement.objects.filter(pk=retirement.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    work_to_the_end(retirement)
    assert retirement.state == Retirement.State.DONE
    assert retirement.places.get().objects_done == (4 if choice == DataChoice.ARCHIVE else 7)


def test_what_s3_refuses_is_told_and_tried_again(lab: Group, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    retirement = carry_out(ask_for(lab, data=DataChoice.DELETE))

    def refuse(*_: Any) -> Any:
        raise s3.S3Failure("S3 could not be used: it is raining")

    with monkeypatch.context() as patched:
        patched.setattr(s3, "delete_step", refuse)
        data_cleanup.clean_up_data(retirement.pk)
    retirement.refresh_from_db()
    assert retirement.state == Retirement.State.DATA
    assert "raining" in retirement.error
    assert retirement.not_before is not None
    assert retirement.not_before > timezone.now()
    work_to_the_end(retirement)
    assert retirement.error == ""


def test_a_bucket_that_is_not_there_holds_nothing_up(lab: Group) -> None:
    with mock_aws():
        s3.client.cache_clear()
        retirement = carry_out(ask_for(lab, data=DataChoice.DELETE))
        work_to_the_end(retirement)
    s3.client.cache_clear()
    assert retirement.state == Retirement.State.DONE


def test_a_survey_counts_what_is_there_and_stops_somewhere(lab: Group, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control_plane.deployments.cloudformation.resources", lambda *_: [])
    survey = Survey.objects.create(group=lab)
    run_survey(survey.pk)
    survey.refresh_from_db()
    assert survey.buckets == [{"bucket": BUCKET, "objects": 4, "bytes": 17, "more": False}]
    monkeypatch.setattr("control_plane.access.retirement.inventory.MAX_COUNTED", 3)
    run_survey(survey.pk)
    survey.refresh_from_db()
    assert survey.buckets[0]["more"]


def test_each_bucket_is_asked_for_where_its_storage_stack_lies(lab: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = lab.stack.place, Place("111122223333", "eu-central-2")
    stack = Analysis.objects.get(bucket=BUCKET).stack
    stack.account, stack.region = there.account, there.region
    stack.save(update_fields=["account", "region"])
    asked: list[tuple[str, Place]] = []

    def step(bucket: str, *others: Any) -> s3.StepResult:
        asked.append((bucket, others[-1]))
        return s3.StepResult(is_last=True)

    monkeypatch.setattr("control_plane.deployments.cloudformation.resources", lambda *_: [])
    monkeypatch.setattr(s3, "pages", lambda *arguments: iter([[]] if step(*arguments) else []))
    monkeypatch.setattr(s3, "archive_step", step)
    run_survey(Survey.objects.create(group=lab).pk)
    retirement = carry_out(ask_for(lab, data=DataChoice.ARCHIVE))
    work_to_the_end(retirement)
    assert asked == [(BUCKET, there)] * 2
    assert data_cleanup._place_of(DataPlace(retirement=retirement, bucket="cohort-gone")) == here


def test_a_client_is_kept_for_each_place() -> None:
    with mock_aws():
        s3.client.cache_clear()
        first, other = s3.client(Place("1", "eu-west-1")), s3.client(Place("1", "us-east-1"))
        assert (first.meta.region_name, other.meta.region_name) == ("eu-west-1", "us-east-1")
        assert s3.client(Place("1", "eu-west-1")) is first
    s3.client.cache_clear()
