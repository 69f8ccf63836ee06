"""Submitting and watching jobs, on an AWS within this process."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.utils import timezone

from control_plane.access.groups.errors import NotGranted
from control_plane.access.groups.models import Grant
from control_plane.access.groups.services.suspension import suspend_group
from control_plane.access.people.departures import ask_deletion, erase_departed
from control_plane.accounts.models import User
from control_plane.base.audit.models import AuditEvent
from control_plane.base.audit.refusals import NotYours
from control_plane.notifications.models import Notice
from control_plane.research.jobs import protocol, status, submitting
from control_plane.research.jobs.models import Job
from control_plane.research.jobs.protocol import Status
from control_plane.research.jobs.schedule import check_open_jobs
from control_plane.research.jobs.status import read_log, read_status, save_status, update_job
from control_plane.research.jobs.submitting import NotSubmittable, Vanished, expand_folders, failed_inputs, new_token, submit
from control_plane.research.storage.objects import NoAnswer
from control_plane.research.storage.sessions import Purpose, jobs_client, s3_client
from tests.actors import OPERATOR
from tests.factories import EntryFactory, settle
from tests.labs import BUCKET, Lab, aws, lab, make_lab, stranger

__all__ = ["aws", "lab", "stranger"]
pytestmark = pytest.mark.django_db

A, B, CONFIG = "example-lab/inputs/a.csv", "example-lab/inputs/day 1/ä b.csv", "example-lab/configs/first.yaml"


def give(lab: Lab, *inputs: str, token: str = "", **more: Any) -> Job:
    """Submit these, which are there."""
    lab.put(*inputs, CONFIG)
    return submit(folder=lab.place, inputs=inputs, config_key=CONFIG, token=token or new_token(), actor=lab.actor, **more)


def certify(lab: Lab, job: Job, *lines: str) -> None:
    """The back end writes its certificate."""
    lab.put(protocol.certificate_key(job), body="\n".join(["CERTIFICATE", *lines, ""]).encode())


def line(path: str, status: Status) -> str:
    return f"DATANAME: {path} | STATUS: {status} | TIME: 12:00 | LAST COMMAND: python go.py"


def seen(job: Job) -> status.JobStatus:
    return read_status(job, jobs_client(job.group, job.analysis))


def looked(job: Job) -> Job:
    save_status(job, seen(job))
    job.refresh_from_db()
    return job


def test_a_submission_is_one_object_just_as_back_ends_read_it(lab: Lab) -> None:
    job = give(lab, A, B)
    (key,) = lab.keys("example-lab/submissions/")
    assert key == job.submission_key
    assert key.startswith(f"example-lab/submissions/{job.timestamp}-")
    assert key.endswith("submit.json")
    assert json.loads(lab.get(key)) == {"dataname": [A, B], "configname": CONFIG, "timestamp": str(job.timestamp)}
    assert job.name == f"job__{BUCKET}_{job.timestamp}"
    assert job.written_at
    event = AuditEvent.objects.get(action="job.submit")
    assert event.actor == "ada@example.org"


def test_the_instance_type_of_the_catalogue_is_passed_on(lab: Lab) -> None:
    EntryFactory.create(analysis=lab.analysis, instance_type="p3.2xlarge")
    assert json.loads(lab.get(give(lab, A).submission_key))["instance_type"] == "p3.2xlarge"


def test_the_same_form_twice_is_one_job_and_one_object(lab: Lab) -> None:
    token = new_token()
    first, second = give(lab, A, token=token), give(lab, A, B, token=token)
    assert first.pk == second.pk
    assert Job.objects.count() == 1
    assert len(lab.keys("example-lab/submissions/")) == 1


def test_jobs_within_a_second_have_timestamps_of_their_own(lab: Lab) -> None:
    stamps = [give(lab, A).timestamp for _ in range(3)]
    assert stamps == sorted(set(stamps))
    assert len(lab.keys("example-lab/submissions/")) == 3


@pytest.mark.django_db(transaction=True)
def test_ten_forms_at_the_same_moment_are_ten_jobs_and_one_sent_ten_times_is_one(lab: Lab) -> None:
    lab.put(A, CONFIG)
    place, actor, same = lab.place, lab.actor, new_token()
    tokens = [new_token() for _ in range(5)] + [same] * 5

    def go(token: str) -> None:
        try:
            submit(folder=place, inputs=[A], config_key=CONFIG, token=token, actor=actor)
        finally:
            connection.close()

    threads = [threading.Thread(target=go, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Job.objects.count() == 6
    assert len(set(Job.objects.values_list("timestamp", flat=True))) == 6
    assert len(lab.s3.list_object_versions(Bucket=BUCKET, Prefix="example-lab/submissions/")["Versions"]) == 6


@pytest.mark.parametrize("gone", [A, CONFIG])
def test_what_vanished_is_named_and_nothing_is_submitted(lab: Lab, gone: str) -> None:
    lab.put(A, B, CONFIG)
    lab.s3.delete_object(Bucket=BUCKET, Key=gone)
    with pytest.raises(Vanished, match="Nothing was submitted") as refused:
        submit(folder=lab.place, inputs=[A, B], config_key=CONFIG, token=new_token(), actor=lab.actor)
    assert refused.value.keys == (gone,)
    assert not Job.objects.exists()
    assert lab.keys("example-lab/submissions/") == []


@pytest.mark.parametrize(
    ("inputs", "config"),
    [
        (["other-lab/inputs/a.csv"], CONFIG),
        (["example-lab/results/x"], CONFIG),
        (["example-lab/inputs/../../other-lab/inputs/a.csv"], CONFIG),
        ([A], "other-lab/configs/c.yaml"),
        ([A], A),
    ],
)
def test_what_lies_elsewhere_is_refused(lab: Lab, inputs: list[str], config: str) -> None:
    lab.put(*inputs, config)
    with pytest.raises(PermissionDenied):
        submit(folder=lab.place, inputs=inputs, config_key=config, token=new_token(), actor=lab.actor)
    assert not Job.objects.exists()


def test_none_and_too_many_are_refused(lab: Lab) -> None:
    for inputs in ([], [f"example-lab/inputs/{number}" for number in range(submitting.MAX_INPUTS + 1)]):
        with pytest.raises(NotSubmittable):
            submit(folder=lab.place, inputs=inputs, config_key=CONFIG, token=new_token(), actor=lab.actor)


def test_a_group_that_may_only_read_submits_nothing(aws: None) -> None:
    reading = make_lab(Grant.Level.READ_ONLY)
    with pytest.raises(NotGranted, match="may only read"):
        give(reading, A)


def test_a_form_of_somebody_else_is_refused(lab: Lab, stranger: Client) -> None:
    token = new_token()
    job = give(lab, A, token=token)
    Job.objects.filter(pk=job.pk).update(submitted_by=User.objects.get(email="grace@example.org"))
    with pytest.raises(NotYours):
        give(lab, A, token=token)


def test_folders_stand_for_the_files_in_them(lab: Lab) -> None:
    lab.put(A, B, "example-lab/inputs/day 1/", "example-lab/inputs/day 1/deep/c.csv", "example-lab/inputs/day 10/d.csv")
    assert expand_folders(lab.place, [A, "example-lab/inputs/day 1/"]) == [A, "example-lab/inputs/day 1/deep/c.csv", B]
    with pytest.raises(NotSubmittable, match="empty"):
        expand_folders(lab.place, ["example-lab/inputs/nothing/"])
    with pytest.raises(PermissionDenied):
        expand_folders(lab.place, ["example-lab/results/"])


def test_a_folder_with_too_many_files_is_refused(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submitting, "MAX_INPUTS", 3)
    lab.put(*(f"example-lab/inputs/many/{number}" for number in range(4)))
    with pytest.raises(NotSubmittable, match="More than 3"):
        expand_folders(lab.place, ["example-lab/inputs/many/"])


def test_a_submission_that_s3_did_not_take_is_written_once_by_the_worker(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.put(A, CONFIG)
    token, client = new_token(), s3_client(lab.place, Purpose.UPLOAD)

    def fails(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "PutObject")  # type: ignore[typeddict-item]

    with monkeypatch.context() as broken:
        broken.setattr(client, "put_object", fails)
        with pytest.raises(NoAnswer, match="is submitted by itself"):
            submit(folder=lab.place, inputs=[A], config_key=CONFIG, token=token, actor=lab.actor)
    job = Job.objects.get()
    assert job.written_at is None
    # Whoever presses the button again at once waits for the first try.
    assert submit(folder=lab.place, inputs=[A], config_key=CONFIG, token=token, actor=lab.actor).written_at is None
    Job.objects.update(submitted_at=timezone.now() - timedelta(minutes=2))
    for _ in range(2):
        update_job(job.pk)
    job.refresh_from_db()
    assert job.written_at
    assert len(lab.s3.list_object_versions(Bucket=BUCKET, Prefix="example-lab/submissions/")["Versions"]) == 1


def test_states_follow_what_the_back_end_writes(lab: Lab) -> None:
    job = give(lab, A, B)
    assert looked(job).state == Job.State.SUBMITTED
    certify(lab, job, line(A, Status.IN_PROGRESS), line(B, Status.INITIALIZING))
    assert looked(job).state == Job.State.RUNNING
    certify(lab, job, line(A, Status.SUCCESS), line(B, Status.FAILED))
    job = looked(job)
    assert (job.state, job.done_count, job.failed_count) == (Job.State.RUNNING, 1, 1)
    lab.put(protocol.end_key(job))
    job = looked(job)
    assert (job.state, job.is_open) == (Job.State.FAILED, False)
    assert failed_inputs(job, seen(job).certificate) == [B]


def test_a_log_alone_is_a_sign_of_life(lab: Lab) -> None:
    job = give(lab, A)
    lab.put(protocol.log_key(job, A))
    assert looked(job).state == Job.State.RUNNING


def test_an_end_without_a_word_about_each_data_set_is_no_success(lab: Lab) -> None:
    job = give(lab, A, B)
    certify(lab, job, line(A, Status.SUCCESS), "DATANAME: broken")
    lab.put(protocol.end_key(job))
    assert looked(job).state == Job.State.ENDED
    assert [problem.line for problem in seen(job).certificate.unreadable] == [3]


def test_all_succeeded_also_where_the_back_end_names_files_alone(lab: Lab) -> None:
    job = give(lab, A, B)
    certify(lab, job, line(A, Status.SUCCESS), line("ä b.csv", Status.SUCCESS))
    lab.put(protocol.end_key(job))
    assert looked(job).state == Job.State.SUCCEEDED


def test_a_job_that_has_ended_stays_so(lab: Lab) -> None:
    job = give(lab, A)
    certify(lab, job, line(A, Status.SUCCESS))
    lab.put(protocol.end_key(job))
    looked(job)
    certify(lab, job, line(A, Status.FAILED))
    assert looked(job).state == Job.State.SUCCEEDED


def test_a_back_end_that_never_answers_is_told_and_may_speak_again(lab: Lab) -> None:
    job = give(lab, A)
    past = timezone.now() - timedelta(hours=25)
    Job.objects.update(submitted_at=past, written_at=past)
    job.refresh_from_db()
    assert looked(job).state == Job.State.SILENT
    certify(lab, job, line(A, Status.IN_PROGRESS))
    assert looked(job).state == Job.State.RUNNING


def test_the_end_is_told_once_with_what_came_of_it(lab: Lab) -> None:
    job = give(lab, A, B)
    certify(lab, job, line(A, Status.SUCCESS), line(B, Status.FAILED))
    lab.put(protocol.end_key(job))
    twin = Job.objects.select_related("group__stack", "analysis", "submitted_by").get(pk=job.pk)
    found = seen(job)
    save_status(job, found)
    save_status(twin, found)
    (notice,) = Notice.objects.filter(key=f"group {lab.group.pk} job {job.pk} ended")
    assert notice.recipient == "ada@example.org"
    assert "1 of 2 data sets succeeded, 1 failed" in " ".join(notice.paragraphs)
    assert notice.path == job.get_absolute_url()


def test_three_requests_and_few_queries_whatever_the_size(lab: Lab, django_assert_max_num_queries: Callable[[int], Any]) -> None:
    keys = [f"example-lab/inputs/{number}" for number in range(1000)]
    job = give(lab, A)
    Job.objects.update(inputs=keys)
    job.refresh_from_db()
    certify(lab, job, *(line(key, Status.SUCCESS) for key in keys))
    calls: list[str] = []
    client = jobs_client(job.group, job.analysis)
    client.meta.events.register("before-send.s3", lambda request, **_: calls.append(request.url))
    with django_assert_max_num_queries(4):
        save_status(job, read_status(job, client))
    assert len(calls) <= 3
    assert job.done_count == 1000


def test_s3_that_does_not_answer_changes_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job = give(lab, A)
    client = jobs_client(job.group, job.analysis)

    def fails(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectsV2")

    monkeypatch.setattr(client, "list_objects_v2", fails)
    with pytest.raises(NoAnswer, match="Nothing was changed"):
        read_status(job, client)
    update_job(job.pk)
    job.refresh_from_db()
    assert job.state == Job.State.SUBMITTED


def test_the_worker_looks_at_open_jobs_and_each_but_now_and_then(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [give(lab, A) for _ in range(3)]
    certify(lab, jobs[0], line(A, Status.SUCCESS))
    lab.put(protocol.end_key(jobs[0]))
    for job in jobs:
        update_job(job.pk)
    assert [Job.objects.get(pk=job.pk).state for job in jobs] == ["succeeded", "submitted", "submitted"]
    assert check_open_jobs() == 0
    Job.objects.update(looked_at=timezone.now() - timedelta(minutes=1))
    assert check_open_jobs() == 2
    assert check_open_jobs() == 0


def test_a_suspended_group_s_jobs_wait(lab: Lab) -> None:
    job = give(lab, A)
    suspend_group(group=lab.group, actor=OPERATOR)
    certify(lab, job, line(A, Status.SUCCESS))
    update_job(job.pk)
    job.refresh_from_db()
    assert job.state == Job.State.SUBMITTED


def test_a_log_is_read_on_from_where_it_was(lab: Lab) -> None:
    job = give(lab, A)
    client, key = jobs_client(job.group, job.analysis), protocol.log_key(job, A)
    assert not read_log(job, A, 0, client).is_there
    lab.put(key, body=b"one\n")
    first = read_log(job, A, 0, client)
    assert (first.text, first.offset, first.size) == ("one\n", 4, 4)
    again = read_log(job, A, first.offset, client)
    assert (again.text, again.offset) == ("", 4)
    lab.put(key, body="one\ntwo é".encode()[:-1])
    part = read_log(job, A, 4, client)
    assert part.text == "two "
    lab.put(key, body="one\ntwo é\n".encode())
    assert read_log(job, A, part.offset, client).text == "é\n"
    lab.put(key, body=b"new\n")
    assert read_log(job, A, 11, client).was_replaced
    lab.put(key, body=b"")
    assert read_log(job, A, 0, client).text == ""


def test_the_end_of_a_long_log_comes_first_and_cuts_no_character(lab: Lab) -> None:
    job = give(lab, A)
    text = "é" * (status.PIECE_BYTES) + "\nlast\n"
    lab.put(protocol.log_key(job, A), body=b"x" + text.encode())
    part = read_log(job, A, -1, jobs_client(job.group, job.analysis))
    assert part.text.endswith("é\nlast\n")
    assert "\ufffd" not in part.text
    assert part.offset == part.size


def test_a_program_s_colours_and_progress_are_text() -> None:
    assert status.readable("\x1b[31mred\x1b[0m 1%\r2%\r\nend\x07") == "red 1%\n2%\nend"


def test_who_submitted_can_leave_and_be_erased_and_the_job_stays(lab: Lab) -> None:
    give(lab, A)
    ask_deletion(user=lab.ada, typed_email="ada@example.org", actor=lab.actor)
    settle(lab.group.stack)
    assert erase_departed() == 1
    assert Job.objects.get().submitted_by.email != "ada@example.org"


def test_a_certificate_counts_as_a_word_where_so_many_logs_lie_that_the_list_does_not_reach_it(lab: Lab) -> None:
    job = give(lab, A)
    # Those that say nothing, so that the certificate alone does.
    lab.put(*(f"{job.prefix}logs/A/internal_ec2_logs/{number:04}" for number in range(1001)))
    certify(lab, job, line(A, Status.IN_PROGRESS))
    later = lab.s3.head_object(Bucket=BUCKET, Key=protocol.certificate_key(job))["LastModified"]
    assert seen(job).heard_at == later
    assert protocol.certificate_key(job) not in seen(job).logs


def test_a_submission_is_written_once_whoever_comes_late(lab: Lab) -> None:
    job = give(lab, A)
    Job.objects.update(written_at=None)
    job.refresh_from_db()
    submitting.write_submission(s3_client(lab.place, Purpose.UPLOAD), job)
    assert job.written_at
    assert len(lab.s3.list_object_versions(Bucket=BUCKET, Prefix="example-lab/submissions/")["Versions"]) == 1
