"""Health: what a load balancer, Prometheus and an administrator are told, and who is told nothing."""

import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client, override_settings
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from control_plane.access.groups.models import Group
from control_plane.accounts.models import User
from control_plane.base.config import config
from control_plane.deployments import counters
from control_plane.deployments.models import Counter, Deployment, DriftState, Stack
from control_plane.notifications.models import Notice
from control_plane.operation.health import readiness
from tests.factories import WorkerFactory

pytestmark = pytest.mark.django_db
TOKEN = "a-token-of-the-scraper"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("METRICS_TOKEN", TOKEN)
    config.cache_clear()
    yield
    monkeypatch.undo()
    config.cache_clear()


def see_worker(seconds_ago: float = 0, name: str = "host:1", doing: str = "Deploying Example Lab") -> None:
    moment = timezone.now() - timedelta(seconds=seconds_ago)
    WorkerFactory.create(name=name, seen_at=moment, doing=doing)


def scrape() -> dict[str, float]:
    """Every sample, by its name and label."""
    answer = Client().get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer["content-type"].startswith("text/plain; version=")
    samples = [sample for family in text_string_to_metric_families(answer.content.decode()) for sample in family.samples]
    return {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}


def test_alive_asks_nothing_of_the_database(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        answer = Client().get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok")


@override_settings(SECURE_SSL_REDIRECT=True)
def test_load_balancers_may_ask_over_plain_http() -> None:
    see_worker()
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/readyz").status_code == 200
    assert Client().get("/metrics").status_code == 301


def test_it_is_ready() -> None:
    see_worker(50)
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    checks = [{"name": name, "ok": True} for name in ("database", "migrations", "worker", "mail")]
    assert answer.json() == {"ready": True, "checks": checks}


def test_an_embedded_aws_that_does_not_answer_is_said_and_one_that_listens_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    see_worker()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://localhost:{listening.getsockname()[1]}")
        config.cache_clear()
        made = [(check["name"], check["ok"]) for check in Client().get("/readyz").json()["checks"]]
        assert made == [(name, True) for name in ("database", "migrations", "embedded AWS", "worker", "mail")]
    answer = Client().get("/readyz")
    config.cache_clear()
    assert answer.status_code == 503
    assert answer.json()["checks"][-1]["problem"].startswith("The embedded AWS does not answer")


@pytest.mark.parametrize("seconds_ago", [None, 61])
def test_without_a_worker_it_is_not_ready_and_says_what_to_do(seconds_ago: float | None) -> None:
    if seconds_ago is not None:
        see_worker(seconds_ago)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    failed = answer.json()["checks"][-1]
    assert (failed["name"], failed["ok"]) == ("worker", False)
    assert "manage.py worker" in failed["advice"]


def test_mail_that_does_not_get_out_is_said_and_sends_nobody_elsewhere() -> None:
    see_worker()
    now = timezone.now()
    failed = {"begun_at": now, "failed_at": now, "last_error": "The mail server mail.example.org refused the password."}
    email = {"event": "account", "channel": "email", "recipient": "ada@example.org"}
    Notice.objects.create(**email, **failed)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    said = answer.json()["checks"][-1]
    assert (said["name"], said["ok"]) == ("mail", False)
    assert "No e-mail gets out" in said["problem"]
    assert "example.org" not in answer.content.decode(), "whom it is for, and where mail goes, is for administrators"
    Notice.objects.create(**email, sent_at=now + timedelta(seconds=1))
    assert Client().get("/readyz").json()["checks"][-1] == {"name": "mail", "ok": True}


def test_a_database_that_does_not_answer_is_said_without_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise DatabaseError("no route to db.internal for user cohort")

    monkeypatch.setitem(readiness.CHECKS, "database", refuse)
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == [
        {
            "name": "database",
            "ok": False,
            "problem": "The database does not answer.",
            "advice": "See that the database runs and that DATABASE_URL is right; the log says more.",
        }
    ]


def test_missing_migrations_are_looked_for_until_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    see_worker()
    readiness.need_migrations.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(MigrationExecutor, "migration_plan", lambda *_: [("one", False)])
        answer = Client().get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"][-1]["name"] == "migrations"
    assert Client().get("/readyz").status_code == 200
    monkeypatch.setattr(readiness, "MigrationExecutor", None)
    assert Client().get("/readyz").status_code == 200


def test_the_metrics_are_what_the_database_holds(group: Group) -> None:
    Deployment.objects.update(created_at=timezone.now() - timedelta(seconds=90))
    Stack.objects.update(drift_state=DriftState.DRIFTED)
    counters.add("stage", "synthesis", seconds=0.5)
    counters.add("stage", "synthesis", seconds=1.5)
    counters.add("outcome", "succeeded", count=3)
    see_worker(20)
    see_worker(2000, name="host:2")
    Notice.objects.create(event="failed", channel="email", recipient="ada@example.org")
    metrics = scrape()
    assert metrics["cohort_deployments_waiting"] == 1
    assert metrics["cohort_deployment_oldest_wait_seconds"] == pytest.approx(90, abs=5)
    assert metrics["cohort_deployments_running"] == 0
    assert metrics["cohort_stacks_out_of_step"] == 1
    assert metrics["cohort_stacks_drifted"] == 1
    assert metrics["cohort_stage_seconds_count synthesis"] == 2
    assert metrics["cohort_stage_seconds_sum synthesis"] == 2
    assert metrics["cohort_deployments_ended_total succeeded"] == 3
    assert metrics["cohort_worker_last_seen_seconds"] == pytest.approx(20, abs=5)
    assert metrics["cohort_notices_unsent"] == 1


def test_an_empty_site_has_metrics_too() -> None:
    metrics = scrape()
    assert metrics["cohort_deployments_waiting"] == 0
    assert metrics["cohort_worker_last_seen_seconds"] == float("inf")


def test_a_scrape_asks_no_more_of_the_database_for_many_rows(django_assert_max_num_queries: Any) -> None:
    for number in range(30):
        see_worker(name=f"host:{number}")
        counters.add("stage", f"stage-{number}")
    with django_assert_max_num_queries(10):
        scrape()


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"])
def test_metrics_are_refused_without_the_token(authorization: str) -> None:
    assert Client().get("/metrics", headers={"authorization": authorization}).status_code == 403


def test_no_token_is_set_so_none_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_TOKEN", "")
    config.cache_clear()
    assert Client().get("/metrics", headers={"authorization": "Bearer "}).status_code == 403


def test_metrics_and_the_page_are_for_administrators(administrator: User, ada: User) -> None:
    for user, status in ((administrator, 200), (ada, 403)):
        client = Client()
        client.force_login(user)
        for path in ("/metrics", "/health/", "/health/live/"):
            assert client.get(path).status_code == status, path
    assert "/accounts/login/" in Client().get("/health/")["location"]


def test_the_page_says_what_the_workers_do_and_how_long_things_take(administrator: User, group: Group) -> None:
    see_worker()
    see_worker(300, name="host:silent")
    counters.add("stage", "deploy", seconds=2.5)
    counters.add("outcome", "failed")
    client = Client()
    client.force_login(administrator)
    page = client.get("/health/").content.decode()
    for text in ("Deploying Example Lab", "✗ silent", "2.50 s", "failed", "Django", 'hx-trigger="every 5s"'):
        assert text in page
    assert "<html" not in client.get("/health/live/").content.decode()
    assert 'href="/health/"' in client.get("/admin/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_no_tally_is_lost_when_many_are_added_at_once() -> None:
    def add_many() -> None:
        for _ in range(20):
            counters.add("outcome", "succeeded", seconds=0.5)
        connection.close()

    threads = [threading.Thread(target=add_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tally = Counter.objects.get()
    assert (tally.count, tally.seconds) == (80, 40)
