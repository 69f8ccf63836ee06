"""Choosing data sets and a configuration, the summary, submitting, and submitting again: one job for one form."""

import html
import json
import re
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from control_plane.access.groups.models import Grant
from control_plane.research.jobs import protocol, submitting
from control_plane.research.jobs.models import Job
from control_plane.research.jobs.protocol import Status
from control_plane.research.storage.sessions import Purpose, s3_client
from tests.control_plane.research.jobs.test_jobs import CONFIG, A, B, certify, give, line
from tests.factories import EntryFactory
from tests.labs import BUCKET, Lab

pytestmark = pytest.mark.django_db

BASE = "/groups/example-lab/jobs/ephys/"
INPUTS = "example-lab/inputs/"
C = f"{INPUTS}c.csv"
_HIDDEN = re.compile(r'name="(basket|config|token|path)" value="([^"]*)"')


@pytest.fixture
def filled(lab: Lab) -> Lab:
    lab.put(A, B, CONFIG)
    return lab


def choose(lab: Lab, **given: Any) -> str:
    """Send the page where one chooses; what it answers."""
    answer = lab.client.post(f"{BASE}new/", given)
    assert answer.status_code == 200
    return str(answer.content.decode())


def carried(page: str) -> dict[str, str]:
    """What the page's form sends on, without what is ticked."""
    return {name: html.unescape(value) for name, value in _HIDDEN.findall(page)}


def reviewed(lab: Lab, *keys: str, config: str = "first") -> dict[str, str]:
    """What the form on the summary of this choice sends."""
    page = choose(lab, basket=json.dumps(keys), config=config, review="1")
    assert "summary" in page
    return carried(page)


def send(lab: Lab, **form: Any) -> Any:
    return lab.client.post(f"{BASE}submit/", form)


def written(lab: Lab) -> int:
    """How many submissions S3 took, also those that were written over."""
    return len(lab.s3.list_object_versions(Bucket=BUCKET, Prefix="example-lab/submissions/").get("Versions", []))


def page_of(lab: Lab, job: Job, query: str = "") -> str:
    answer = lab.client.get(f"{job.get_absolute_url()}{query}")
    assert answer.status_code == 200
    return str(answer.content.decode())


def ended(lab: Lab, *lines: str, inputs: tuple[str, ...] = (A, B)) -> Job:
    """A job whose back end wrote these lines, and that it ended; seen on its page."""
    job = give(lab, *inputs)
    certify(lab, job, *lines)
    lab.put(protocol.end_key(job))
    page_of(lab, job)
    job.refresh_from_db()
    return job


def test_nothing_there_yet_says_what_to_do_first(lab: Lab) -> None:
    page = lab.client.get(f"{BASE}new/").content.decode()
    assert "There is nothing in inputs yet" in page
    assert "There is no configuration yet" in page
    assert "No job was submitted yet" in lab.client.get(BASE).content.decode()


def test_ticks_are_kept_from_folder_to_folder_and_can_be_taken_out(filled: Lab) -> None:
    page = choose(filled, basket="[]", shown=[A, f"{INPUTS}day 1/"], input=[A], go="day 1/")
    assert "1 chosen" in page
    assert "ä b.csv" in page
    page = choose(filled, **carried(page), shown=[B], input=[B], keep="1")
    assert json.loads(carried(page)["basket"]) == [A, B]
    assert "2 chosen" in page
    assert json.loads(carried(choose(filled, **carried(page), shown=[B]))["basket"]) == [A]
    assert json.loads(carried(choose(filled, **carried(page), shown=[B], input=[B], without=A))["basket"]) == [B]


def test_a_name_that_turns_its_letters_about_is_shown_with_what_does(filled: Lab) -> None:
    key = f"{INPUTS}photo\u202egpj.exe"
    filled.put(key)
    for page in (choose(filled, basket="[]"), choose(filled, basket=json.dumps([key]), config="first", review="1")):
        assert "photo\\u202egpj.exe" in page
        # What the form carries is the key as it is, and the one place where it stands so.
        assert "\u202e" not in re.sub(r'value="[^"]*"', "", page)
    job = give(filled, key)
    assert "Log of photo\\u202egpj.exe" in page_of(filled, job)


def test_what_lies_in_a_chosen_folder_is_shown_as_chosen(filled: Lab) -> None:
    page = choose(filled, basket=json.dumps([f"{INPUTS}day 1/"]), go="day 1/")
    assert re.search(r'value="[^"]*b\.csv"[^>]* checked disabled', page)


def test_a_large_folder_comes_in_pages_and_each_name_once(filled: Lab) -> None:
    filled.put(*(f"{INPUTS}many/{number:03}" for number in range(150)), *(f"{INPUTS}many/050 folder/{n}" for n in range(3)))
    shown: list[str] = []
    page = choose(filled, go="many/")
    for _ in range(2):
        shown += re.findall(r'name="shown" value="([^"]*)"', page)
        after = re.search(r'name="more" value="([^"]*)"', page)
        page = choose(filled, **carried(page), more=html.unescape(after[1])) if after else page
    assert len(shown) == len(set(shown)) == 151
    page = choose(filled, path="many/", search="14", find="1")
    assert len(re.findall(r'name="shown"', page)) == 10
    assert "No name here begins so" in choose(filled, path="many/", search="x", find="1")


def test_the_only_configuration_is_chosen_already(filled: Lab) -> None:
    assert '<option value="first" selected>' in filled.client.get(f"{BASE}new/").content.decode()


def test_the_summary_says_what_is_submitted_and_what_does_not_fit(filled: Lab) -> None:
    schema = '{"type": "object", "properties": {"baseline": {"type": "number"}}}'
    EntryFactory.create(analysis=filled.analysis, schema=schema, instance_type="p3.2xlarge")
    twin = f"{INPUTS}day 2/ä b.csv"
    filled.put(twin)
    filled.put(CONFIG, body=b"baseline: soon\n")
    page = choose(filled, basket=json.dumps([B, twin, f"{INPUTS}day 1/"]), config="first", review="1")
    for said in (
        "day 2/ä b.csv",
        "p3.2xlarge",
        "a folder stands for all the files",
        "Several data sets have the same file name",
        "Mend it first",
    ):
        assert said in page
    assert Job.objects.count() == written(filled) == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"basket": "[]", "config": "first"}, "Choose at least one data set"),
        ({"config": "first"}, "Choose at least one data set"),
        ({"basket": json.dumps([A])}, "Choose a configuration"),
        ({"basket": json.dumps([A]), "config": ""}, "Choose a configuration"),
    ],
)
def test_what_lacks_is_told_and_the_choice_stays(filled: Lab, given: dict[str, str], says: str) -> None:
    page = choose(filled, **given, review="1")
    assert says in page
    assert carried(page)["basket"] == given.get("basket", "[]")


def test_more_than_one_job_takes_is_told(filled: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"{INPUTS}{number}" for number in range(submitting.MAX_INPUTS + 5)]
    assert "are too many for one job" in choose(filled, basket=json.dumps(keys), config="first", review="1")
    assert send(filled, basket=json.dumps(keys), config="first", token="t").status_code == 409
    assert Job.objects.count() == written(filled) == 0


def test_a_double_click_is_one_job_and_one_submission(filled: Lab) -> None:
    form = reviewed(filled, A, B)
    first, second = send(filled, **form), send(filled, **form)
    assert first.status_code == 302
    assert first["Location"] == second["Location"] == Job.objects.get().get_absolute_url()
    assert written(filled) == 1
    assert "0 of 2 data sets done" in filled.client.get(first["Location"]).content.decode()


def test_the_same_choice_in_two_forms_is_two_jobs(filled: Lab) -> None:
    locations = {send(filled, **reviewed(filled, A))["Location"] for _ in range(2)}
    assert len(locations) == Job.objects.count() == written(filled) == 2


def test_a_data_set_that_vanished_is_named_and_the_rest_can_be_submitted(filled: Lab) -> None:
    form = reviewed(filled, A, B)
    filled.s3.delete_object(Bucket=BUCKET, Key=B)
    answer = send(filled, **form)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert f"Not there any more: {B}" in page
    assert Job.objects.count() == written(filled) == 0
    assert send(filled, **carried(page)).status_code == 302
    assert Job.objects.get().inputs == [A]


def test_a_configuration_that_vanished_is_named_and_nothing_is_submitted(filled: Lab) -> None:
    form = reviewed(filled, A)
    filled.s3.delete_object(Bucket=BUCKET, Key=CONFIG)
    answer = send(filled, **form)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert f"Not there any more: {CONFIG}" in page
    assert "Go on without" not in page
    assert "✓ valid" not in page
    assert Job.objects.count() == written(filled) == 0


def test_s3_that_does_not_take_it_makes_one_job_however_often_it_is_tried(filled: Lab) -> None:
    form = reviewed(filled, A)
    client = s3_client(filled.place, Purpose.UPLOAD)

    def drop(**_: Any) -> None:
        raise NoCredentialsError

    client.meta.events.register("before-send.s3.PutObject", drop)
    answers = [send(filled, **form) for _ in range(2)]
    client.meta.events.unregister("before-send.s3.PutObject", drop)
    assert {answer["Location"] for answer in answers} == {Job.objects.get().get_absolute_url()}
    page = filled.client.get(answers[0]["Location"]).content.decode()
    assert "The job is kept, and is submitted by itself" in page
    assert "S3 has not taken the submission yet" in page


def test_all_that_was_chosen_vanished(filled: Lab) -> None:
    form = reviewed(filled, A)
    filled.s3.delete_object(Bucket=BUCKET, Key=A)
    page = send(filled, **form).content.decode()
    assert "Not there any more" in page
    assert "Go on without" not in page


def test_a_chosen_folder_stands_for_the_files_in_it_when_it_is_submitted(filled: Lab) -> None:
    form = reviewed(filled, f"{INPUTS}day 1/", A)
    late = f"{INPUTS}day 1/deep/late.csv"
    filled.put(late, f"{INPUTS}day 10/other.csv")
    assert send(filled, **form).status_code == 302
    job = Job.objects.get()
    assert job.inputs == [late, B, A]
    assert json.loads(filled.get(job.submission_key))["dataname"] == job.inputs


@pytest.mark.parametrize("key", ["day 1/./a.csv", "day 1/../a.csv", "day 1/.."])
def test_a_data_set_that_a_back_end_would_take_for_another_is_refused_by_name(filled: Lab, key: str) -> None:
    filled.put(f"{INPUTS}{key}")
    answer = send(filled, basket=json.dumps([f"{INPUTS}day 1/"]), config="first", token="t")
    assert answer.status_code == 409
    assert f"{INPUTS}{key} cannot be a data set" in answer.content.decode()
    assert filled.client.post(f"{BASE}new/", {"input": [f"{INPUTS}{key}"]}).status_code == 403
    assert Job.objects.count() == written(filled) == 0


@pytest.mark.parametrize(
    ("keys", "config", "says"),
    [
        ([], "first", "No data set was chosen"),
        ([f"{INPUTS}nothing/"], "first", "the folders are empty"),
        ([A], "", "no name of a configuration"),
        ([A], "../first", "no name of a configuration"),
        ([A], "sub/first", "no name of a configuration"),
        ([A], "second", "Not there any more"),
    ],
)
def test_a_form_that_lacks_something_submits_nothing_and_says_why(filled: Lab, keys: list[str], config: str, says: str) -> None:
    answer = send(filled, basket=json.dumps(keys), config=config, token="t")
    assert answer.status_code == 409
    assert says in answer.content.decode()
    assert Job.objects.count() == written(filled) == 0


@pytest.mark.parametrize("where", ["new/", "submit/"])
@pytest.mark.parametrize("how", ["basket", "input"])
@pytest.mark.parametrize(
    "key",
    [
        "other-lab/inputs/a.csv",
        "other-lab/inputs/",
        "example-lab/results/x",
        "example-lab/inputs/../../other-lab/inputs/a.csv",
        "example-lab/inputs",
        "",
    ],
)
def test_a_key_that_lies_elsewhere_is_refused(filled: Lab, where: str, how: str, key: str) -> None:
    filled.put(*(key for key in (key, "other-lab/inputs/a.csv") if key and not key.endswith("/")))
    given = {how: json.dumps([A, key]) if how == "basket" else [A, key], "config": "first", "token": "t", "review": "1"}
    assert filled.client.post(f"{BASE}{where}", given).status_code == 403
    assert Job.objects.count() == written(filled) == 0


@pytest.mark.parametrize("path", ["../configs/", "../../other-lab/inputs/", "a/./b/"])
def test_a_folder_that_lies_elsewhere_is_refused(filled: Lab, path: str) -> None:
    assert filled.client.get(f"{BASE}new/", {"path": path}).status_code == 403


@pytest.mark.parametrize("basket", ["x", "{}", "[1]", "[" * 100_000, '["example-lab/inputs/\\ud800"]'])
def test_what_no_form_of_ours_sends_is_refused(filled: Lab, basket: str) -> None:
    for where in ("new/", "submit/"):
        answer = filled.client.post(f"{BASE}{where}", {"basket": basket, "config": "first", "review": "1", "token": "t"})
        assert answer.status_code == 400
    assert Job.objects.count() == written(filled) == 0


def test_a_group_that_may_only_read_submits_nothing(filled: Lab) -> None:
    form = reviewed(filled, A)
    Grant.objects.update(level=Grant.Level.READ_ONLY)
    assert "Submit a job" not in filled.client.get(BASE).content.decode()
    assert filled.client.get(f"{BASE}new/").status_code == 403
    assert filled.client.post(f"{BASE}new/", {**form, "review": "1"}).status_code == 403
    answer = send(filled, **form)
    assert answer.status_code == 403
    assert "may only read" in answer.content.decode()
    assert Job.objects.count() == written(filled) == 0


def test_what_failed_is_submitted_again_and_nothing_else(lab: Lab) -> None:
    before = ended(lab, line(A, Status.FAILED), line(B, Status.SUCCESS), line(C, Status.FAILED), inputs=(A, B, C))
    page = page_of(lab, before)
    token = re.search(r'again/"[^>]*>.*?name="token" value="([^"]*)"', page, re.DOTALL)
    assert token
    answers = [lab.client.post(f"{before.get_absolute_url()}again/", {"token": token[1]}) for _ in range(2)]
    job = Job.objects.exclude(pk=before.pk).get()
    assert {answer["Location"] for answer in answers} == {job.get_absolute_url()}
    assert (job.inputs, job.config_key, job.resubmits) == ([A, C], CONFIG, before)
    assert written(lab) == 2
    assert "It does again what failed in" in page_of(lab, job)
    assert before.get_absolute_url() in page_of(lab, job)


def test_where_nothing_failed_nothing_is_submitted_again(lab: Lab) -> None:
    job = ended(lab, line(A, Status.SUCCESS), line(B, Status.SUCCESS))
    assert "Submit the failed ones again" not in page_of(lab, job)
    answer = lab.client.post(f"{job.get_absolute_url()}again/", {"token": "t"}, follow=True)
    assert "None of its data sets failed. Nothing was submitted." in answer.content.decode()
    assert Job.objects.count() == written(lab) == 1


def test_what_failed_and_is_gone_since_is_named(lab: Lab) -> None:
    job = ended(lab, line(A, Status.FAILED), line(B, Status.SUCCESS))
    lab.s3.delete_object(Bucket=BUCKET, Key=A)
    answer = lab.client.post(f"{job.get_absolute_url()}again/", {"token": "t"}, follow=True)
    assert f"Not there any more: {A}" in answer.content.decode()
    assert Job.objects.count() == written(lab) == 1


def test_a_group_that_may_only_read_submits_nothing_again_and_may_look(lab: Lab) -> None:
    job = ended(lab, line(A, Status.FAILED), line(B, Status.SUCCESS))
    Grant.objects.update(level=Grant.Level.READ_ONLY)
    page = page_of(lab, job)
    assert "Submit the failed ones again" not in page
    assert "Submit another like this" not in page
    answer = lab.client.post(f"{job.get_absolute_url()}again/", {"token": "t"}, follow=True)
    assert "may only read" in answer.content.decode()
    assert Job.objects.count() == written(lab) == 1


def test_a_form_that_became_a_job_leads_to_it_even_if_s3_does_not_answer_the_second_time(
    filled: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = reviewed(filled, f"{INPUTS}day 1/")
    first = send(filled, **form)

    def broken(*args: object, **kwargs: object) -> None:
        raise AssertionError("S3 was asked")

    monkeypatch.setattr("web.jobs.submit_views.expand_folders", broken)
    assert send(filled, **form)["Location"] == first["Location"]
    assert Job.objects.count() == written(filled) == 1


def test_a_refused_form_may_still_become_the_one_job(filled: Lab) -> None:
    form = reviewed(filled, A, C)
    page = send(filled, **form).content.decode()
    assert carried(page)["token"] == form["token"]


def test_what_a_job_was_can_be_chosen_again(filled: Lab) -> None:
    job = give(filled, A, B)
    page = filled.client.get(job.get_absolute_url()).content.decode()
    assert "Submit another like this" in page
    assert "2 chosen" in choose(filled, basket=json.dumps([A, B]), config="first")
    assert json.loads(carried(page)["basket"]) == [A, B]


@pytest.mark.parametrize("address", ["?path=%00", "?%00=x"])
def test_null_bytes_are_refused_before_anybody_looks(filled: Lab, address: str) -> None:
    assert filled.client.get(f"{BASE}new/{address}").status_code == 400
    assert filled.client.post(f"{BASE}submit/", "token=%00", content_type="application/x-www-form-urlencoded").status_code == 400
