"""A group's jobs: how each is, its logs, submitting what failed again, sharing; and that other groups see nothing of it."""

import html
import json
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.exceptions import NoCredentialsError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from control_plane.base.audit.models import AuditEvent
from control_plane.research.jobs import protocol, status
from control_plane.research.jobs.models import Job
from control_plane.research.jobs.protocol import Status
from control_plane.research.storage.sessions import Purpose, s3_client
from tests.control_plane.research.jobs.test_jobs import CONFIG, A, B, certify, give, line
from tests.factories import MembershipFactory, UserFactory, settle
from tests.labs import BUCKET, Lab
from tests.web.jobs.test_choosing import BASE, INPUTS, C, ended, page_of
from web.jobs.urls import urlpatterns

pytestmark = pytest.mark.django_db

HX = {"HX-Request": "true"}


def share(lab: Lab, job: Job, path: str = "") -> str:
    """The path of a link, as the page shows it."""
    page = lab.client.post(f"{job.get_absolute_url()}share/", {"path": path}, headers=HX).content.decode()
    found = re.search(r"https?://[^<\s]*(/jobs/shared/[^<\s]+)", page)
    assert found, page
    return html.unescape(found[1])


def versions(lab: Lab) -> list[tuple[str, str]]:
    """All that the bucket ever took."""
    listed = lab.s3.list_object_versions(Bucket=BUCKET)
    return sorted(
        (version["Key"], version["VersionId"]) for version in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
    )


def test_pages_ask_little_of_a_job_of_a_thousand_among_five_thousand(
    lab: Lab, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    first = give(lab, A)
    common = {"group": lab.group, "analysis": lab.analysis, "submitted_by": lab.ada, "config_key": CONFIG, "inputs": [A]}
    Job.objects.bulk_create(
        [Job(timestamp=number, token=f"t{number}", submission_key=f"s{number}", **common) for number in range(1, 5000)]
    )
    job = give(lab, A, resubmits=first)
    keys = [f"{INPUTS}{number}" for number in range(1000)]
    Job.objects.filter(pk=job.pk).update(inputs=keys)
    certify(lab, job, *(line(key, Status.IN_PROGRESS) for key in keys))
    lab.put(*(protocol.log_key(job, key) for key in keys), *keys[:200])
    url, basket = job.get_absolute_url(), json.dumps(keys)
    link = share(lab, job)
    calls: list[str] = []
    s3_client(lab.place, Purpose.BROWSE).meta.events.register("before-send.s3", lambda request, **_: calls.append(request.url))
    for path, given, expected in (
        (BASE, None, 200),
        (f"{BASE}?page=7&state=submitted", None, 200),
        (f"{BASE}new/", {"basket": basket, "config": "first"}, 200),
        (f"{BASE}new/", {"basket": basket, "config": "first", "review": "1"}, 200),
        (url, None, 200),
        (f"{url}log/?set=999&offset=-1", None, 200),
        (f"{url}share/", {}, 200),
        (link, None, 302),
    ):
        calls.clear()
        with django_assert_max_num_queries(12):
            answer = lab.client.get(path) if given is None else lab.client.post(path, given)
        assert answer.status_code == expected, path
        assert len(calls) <= 4, (path, calls)
    with django_assert_max_num_queries(12):
        assert "0 of 1000" in lab.client.get(url, headers=HX).content.decode()


def test_the_newest_jobs_come_first_and_can_be_sorted_out_by_state(lab: Lab) -> None:
    jobs = [give(lab, A) for _ in range(27)]
    Job.objects.filter(pk=jobs[3].pk).update(state=Job.State.FAILED, failed_count=1)
    page = lab.client.get(BASE).content.decode()
    assert re.findall(r">(\d{10})</a>", page) == [str(job.timestamp) for job in jobs[:1:-1]]
    assert re.findall(r">(\d{10})</a>", lab.client.get(f"{BASE}?page=2").content.decode()) == [
        str(job.timestamp) for job in jobs[1::-1]
    ]
    assert re.findall(r">(\d{10})</a>", lab.client.get(f"{BASE}?state=failed").content.decode()) == [str(jobs[3].timestamp)]
    assert "No job is so" in lab.client.get(f"{BASE}?state=ended").content.decode()
    part = lab.client.get(BASE, headers=HX).content.decode()
    assert "<html" not in part
    assert 'hx-trigger="every 5s"' in part


def test_a_certificate_that_cannot_be_read_hides_nothing_else(lab: Lab) -> None:
    job = give(lab, A, B)
    certify(
        lab, job, "DATANAME: broken", "DATANAME: <b>x</b> | STATUS: PERHAPS | TIME:", "\x00\x1b[31m | |", line(A, Status.SUCCESS)
    )
    page = page_of(lab, job)
    assert "2 lines that cannot be read" in page
    assert "line 2: <code>DATANAME: broken</code>" in page
    assert "<b>x</b>" not in page
    assert "✓ succeeded" in page
    assert "not mentioned yet" in page
    assert "1 of 2 data sets done" in page
    lab.put(protocol.certificate_key(job), body=b"\xff\xfe\x00" * 1000)
    assert "0 of 2 data sets done" in page_of(lab, job)


def test_failed_data_sets_come_first_and_lead_to_their_logs(lab: Lab) -> None:
    job = give(lab, A, B, C)
    certify(lab, job, line(A, Status.SUCCESS), line(B, Status.IN_PROGRESS), line(C, Status.FAILED))
    lab.put(protocol.log_key(job, C))
    page = page_of(lab, job)
    names = re.findall(r'data-label="Data set"[^>]*>([^<]*)<', page)
    assert names == ["c.csv", "day 1/ä b.csv", "a.csv"]
    assert "1 of them failed" in page
    assert f'href="{job.get_absolute_url()}?log=2#log"' in page
    assert "Log of c.csv" in page
    chosen = page_of(lab, job, "?log=0")
    assert "Log of a.csv" in chosen
    assert 'data-set="0"' in chosen


def test_a_back_end_that_never_answers_is_told_and_may_speak_again(lab: Lab) -> None:
    job = give(lab, A)
    assert "Its back end has written nothing yet" in page_of(lab, job)
    past = timezone.now() - timedelta(hours=25)
    Job.objects.update(submitted_at=past, written_at=past)
    page = page_of(lab, job)
    assert "‖ no response" in page
    assert "No response for 24 hours" in page
    assert job.name in page
    assert "no response</span>" in lab.client.get(BASE).content.decode()
    certify(lab, job, line(A, Status.IN_PROGRESS))
    page = page_of(lab, job)
    assert "⟳ running" in page
    assert "No response" not in page


def test_the_page_goes_on_by_itself_and_tells_the_files_only_of_changes(lab: Lab) -> None:
    job = give(lab, A, B)

    def ask(page: str) -> Any:
        found = re.search(r'id="status"[^>]*hx-get="([^"]*)"', page)
        assert found, page
        return lab.client.get(f"{job.get_absolute_url()}{html.unescape(found[1])}", headers=HX)

    answer = ask(page_of(lab, job, "?log=1&sets=1"))
    assert "HX-Trigger" not in answer
    assert "<html" not in answer.content.decode()
    certify(lab, job, line(A, Status.SUCCESS))
    answer = ask(answer.content.decode())
    assert answer["HX-Trigger"] == "cohort:job-changed"
    answer = ask(answer.content.decode())
    assert "HX-Trigger" not in answer
    certify(lab, job, line(A, Status.SUCCESS), line(B, Status.SUCCESS))
    lab.put(protocol.end_key(job))
    answer = ask(answer.content.decode())
    assert answer["HX-Trigger"] == "cohort:job-changed"
    assert "✓ succeeded" in answer.content.decode()
    assert "hx-get" not in answer.content.decode()


def test_s3_that_does_not_answer_leaves_what_was_last_seen(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ended(lab, line(A, Status.FAILED), line(B, Status.SUCCESS))
    client = s3_client(lab.place, Purpose.BROWSE)

    def drop(**_: Any) -> None:
        raise NoCredentialsError

    client.meta.events.register("before-send.s3", drop)
    page = page_of(lab, job)
    assert "What stands here is what was last seen" in page
    assert "✗ failed" in page
    assert lab.client.get(f"{job.get_absolute_url()}log/?set=0").status_code == 503
    assert lab.client.get(f"{BASE}new/").status_code == 503
    lab.client.post(f"{job.get_absolute_url()}again/", {"token": "t"})
    assert Job.objects.count() == 1


def test_a_job_of_a_configuration_in_a_folder_has_a_page(lab: Lab) -> None:
    job = give(lab, A)
    Job.objects.update(config_key="example-lab/configs/old/first.yaml")
    assert "old/first" in page_of(lab, job)
    assert "old/first" in lab.client.get(BASE).content.decode()


def test_a_log_is_read_on_from_where_it_was(lab: Lab) -> None:
    job = give(lab, A, B)

    def read(offset: int) -> dict[str, Any]:
        answer = lab.client.get(f"{job.get_absolute_url()}log/?set=1&offset={offset}")
        assert answer.status_code == 200
        return dict(answer.json())

    key = protocol.log_key(job, B)
    assert read(-1)["is_there"] is False
    lab.put(key, body="one\nä".encode()[:-1])
    first = read(-1)
    assert (first["text"], first["offset"], first["is_there"], first["is_open"]) == ("one\n", 4, True, True)
    lab.put(key, body="one\nätwo\n".encode())
    on = read(first["offset"])
    assert (on["text"], on["offset"], on["size"]) == ("ätwo\n", 10, 10)
    again = read(10)
    assert (again["text"], again["offset"], again["was_replaced"]) == ("", 10, False)
    lab.put(key, body=b"new\n")
    shorter = read(10)
    assert shorter["was_replaced"] is True
    assert read(shorter["offset"])["text"] == "new\n"
    lab.put(key, body=b"x" * status.PIECE_BYTES + b"<script>\x1b[31mend\x1b[0m")
    assert read(-1)["text"].endswith("x<script>end")
    assert len(read(0)["text"]) == status.PIECE_BYTES
    assert read(10**14)["was_replaced"] is True


@pytest.mark.parametrize(
    ("which", "offset"),
    [
        *((which, "0") for which in ("", "x", "-1", "2", "1.0", "²", "1e3", "9" * 30, "9" * 5000)),
        *(("0", offset) for offset in ("", "x", "²", "1.5", "-x", "9" * 30, "9" * 4300, "9" * 5000)),
    ],
)
def test_nonsense_asked_of_a_log_is_not_there(lab: Lab, which: str, offset: str) -> None:
    job = give(lab, A, B)
    lab.put(protocol.log_key(job, A))
    assert lab.client.get(f"{job.get_absolute_url()}log/?set={which}&offset={offset}").status_code == 404


@pytest.mark.parametrize("query", ["log=²", f"log={'9' * 5000}", "log=x", "log=-1", "log=2", "sets=x", "sets=999", "mark=²"])
def test_nonsense_asked_of_a_page_is_passed_over(lab: Lab, query: str) -> None:
    assert "Log of a.csv" in page_of(lab, give(lab, A, B), f"?{query}")


@pytest.mark.parametrize("query", ["page=x", "page=-1", f"page={'9' * 5000}", "state=x"])
def test_nonsense_asked_of_the_list_is_passed_over(lab: Lab, query: str) -> None:
    job = give(lab, A)
    assert str(job.timestamp) in lab.client.get(f"{BASE}?{query}").content.decode()


@pytest.mark.parametrize("timestamp", ["0", "9" * 19, "9" * 30, "9" * 5000, "x"])
def test_a_job_that_never_was_is_not_there(lab: Lab, timestamp: str) -> None:
    assert lab.client.get(f"{BASE}{timestamp}/").status_code == 404


def test_a_link_leads_another_member_to_the_folder(lab: Lab) -> None:
    job = give(lab, A)
    link = share(lab, job, "process_results/day 1/ä&b/")
    friend = UserFactory.create(email="friend@example.org")
    MembershipFactory.create(group=lab.group, user=friend)
    client = Client()
    client.force_login(friend)
    assert "being made" in client.get(link).content.decode()
    settle(lab.group.stack)
    answer = client.get(link, follow=True)
    path, status = answer.redirect_chain[-1]
    assert (status, answer.status_code, urlsplit(path).path) == (302, 200, job.get_absolute_url())
    assert parse_qs(urlsplit(path).query) == {"path": ["process_results/day 1/ä&b/"]}
    assert AuditEvent.objects.filter(action="job.share", actor="ada@example.org").count() == 1
    assert lab.client.get(share(lab, job))["Location"] == job.get_absolute_url()


@pytest.mark.parametrize("path", ["../../other-lab/", "a/../../b/", "x" * 2000])
def test_a_link_to_a_folder_elsewhere_leads_to_the_job(lab: Lab, path: str) -> None:
    job = give(lab, A)
    assert lab.client.get(share(lab, job, path))["Location"] == job.get_absolute_url()


@pytest.mark.parametrize("who", ["stranger", "rival"])
def test_a_link_is_nothing_to_who_is_not_in_the_group(lab: Lab, who: str, request: pytest.FixtureRequest) -> None:
    link = share(lab, give(lab, A))
    other: Client = request.getfixturevalue(who)
    answer = other.get(link)
    assert answer.status_code == 404
    assert "example-lab" not in answer.content.decode()
    assert AuditEvent.objects.filter(action="access.refused", actor="grace@example.org").count() == 1


def test_a_link_asks_who_is_signed_out_to_sign_in_and_leads_on(lab: Lab) -> None:
    link = share(lab, give(lab, A))
    answer = Client().get(link)
    assert answer.status_code == 302
    assert parse_qs(urlsplit(answer["Location"]).query) == {"next": [link]}


def test_links_end_and_say_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    job, then = give(lab, A), time.time() - timedelta(days=31).total_seconds()
    with monkeypatch.context() as past:
        past.setattr(time, "time", lambda: then)
        link = share(lab, job)
    answer = lab.client.get(link)
    assert answer.status_code == 410
    assert "This link has ended" in answer.content.decode()


@pytest.mark.parametrize("forged", ["x", "a:b:c", "ä:²:x", "::", "9" * 5000])
def test_links_that_are_none_of_ours_say_so(lab: Lab, forged: str) -> None:
    cut = share(lab, give(lab, A))[:-2] + "/"
    for link in (f"/jobs/shared/{forged}/", cut):
        answer = lab.client.get(link)
        assert answer.status_code == 404
        assert "This link is none of ours" in answer.content.decode()


@pytest.mark.parametrize("who", ["stranger", "rival"])
@pytest.mark.parametrize("name", [urlpattern.name for urlpattern in urlpatterns])
def test_another_group_sees_nothing_and_changes_nothing(lab: Lab, who: str, name: str, request: pytest.FixtureRequest) -> None:
    job = ended(lab, line(A, Status.FAILED), line(B, Status.SUCCESS))
    link = share(lab, job)
    other: Client = request.getfixturevalue(who)
    needed = next(urlpattern for urlpattern in urlpatterns if urlpattern.name == name).pattern.converters
    given = {"slug": "example-lab", "analysis": "ephys", "timestamp": job.timestamp, "signed": link.split("/")[-2]}
    url = reverse(f"jobs:{name}", kwargs={key: value for key, value in given.items() if key in needed})
    before = versions(lab)
    form = {"basket": f'["{A}"]', "config": "first", "token": "t", "review": "1", "set": "0"}
    answers = [other.get(url, form), other.post(url, form)]
    # What takes the one way of asking alone says so before it looks who asks.
    assert {answer.status_code for answer in answers} in ({404}, {403}, {404, 405})
    assert not any("a.csv" in answer.content.decode() for answer in answers)
    assert versions(lab) == before
    assert Job.objects.count() == 1


def test_a_rival_finds_the_job_not_under_its_own_group_either_and_cannot_submit_others_data(lab: Lab, rival: Client) -> None:
    job = ended(lab, line(A, Status.FAILED), line(B, Status.SUCCESS))
    before, base = versions(lab), "/groups/other-lab/jobs/ephys/"
    for path in ("", "log/?set=0"):
        assert rival.get(f"{base}{job.timestamp}/{path}").status_code == 404
    for path in ("again/", "share/"):
        assert rival.post(f"{base}{job.timestamp}/{path}", {"token": "t"}).status_code == 404
    form = {"basket": f'["{A}"]', "config": "first", "token": "t", "review": "1"}
    for path in ("new/", "submit/"):
        assert rival.post(f"{base}{path}", form).status_code == 403
    assert str(job.timestamp) not in rival.get(base).content.decode()
    assert versions(lab) == before
    assert Job.objects.count() == 1
