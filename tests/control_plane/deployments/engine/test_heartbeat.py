"""A worker's sign of life: it keeps its leases, and hears of those that it lost and of what is to be cancelled."""

from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from control_plane.deployments.cancelling import cancel
from control_plane.deployments.engine import heartbeat, leases
from control_plane.deployments.engine.heartbeat import Heartbeat, LeaseLost
from control_plane.deployments.models import Stack, Worker
from tests.control_plane.fakes import claim_one, lease_end
from tests.control_plane.processes import wait_until
from tests.factories import WorkerFactory


@pytest.fixture
def deployment(group):
    return claim_one()


def test_it_works(deployment):
    beating = Heartbeat("worker")
    beating.hold(deployment)
    Stack.objects.update(lease_expires_at=leases.in_seconds(1))
    beating.beat()
    assert lease_end() > timezone.now() + timedelta(seconds=50)
    beating.check(deployment)
    assert beating.cancelled_by(deployment) == ""


def test_a_lease_that_another_took_is_noticed(deployment):
    beating = Heartbeat("worker")
    beating.hold(deployment)
    Stack.objects.update(lease_owner="another")
    beating.beat()
    with pytest.raises(LeaseLost):
        beating.check(deployment)


@pytest.mark.django_db
def test_by_its_own_clock_a_worker_knows_that_it_was_too_slow(group, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("control_plane.deployments.engine.heartbeat.time.monotonic", lambda: clock[0])
    deployment = claim_one()
    beating = Heartbeat("worker")
    beating.hold(deployment)
    clock[0] += 61
    with pytest.raises(LeaseLost):
        beating.check(deployment)
    beating.beat()
    beating.check(deployment)


def test_what_is_let_go_of_is_not_kept(deployment):
    beating = Heartbeat("worker")
    beating.hold(deployment)
    beating.release(deployment)
    Stack.objects.update(lease_expires_at=leases.in_seconds(1))
    beating.beat()
    assert lease_end() < timezone.now() + timedelta(seconds=2)


def test_somebody_s_wish_to_cancel_is_heard(deployment, operator):
    beating = Heartbeat("worker")
    beating.hold(deployment)
    cancel(deployment, actor=operator)
    assert beating.cancelled_by(deployment) == ""
    beating.beat()
    assert beating.cancelled_by(deployment) == "terminal:tester"


@pytest.mark.django_db
def test_it_says_what_the_worker_does_and_forgets_workers_that_are_long_gone():
    long_ago = timezone.now() - timedelta(days=2)
    for name in ("gone", "worker"):
        WorkerFactory.create(name=name, seen_at=long_ago)
    Heartbeat("worker", lambda: "deploying x" * 100).beat()
    worker = Worker.objects.get()
    assert worker.name == "worker"
    assert worker.doing.startswith("deploying x")
    assert len(worker.doing) == 400


@pytest.mark.django_db(transaction=True)
def test_a_worker_s_row_is_there_from_its_start_to_its_end(monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)
    beating = Heartbeat("worker", lambda: "waiting")
    beating.start()
    try:
        wait_until(lambda: Worker.objects.filter(name="worker", doing="waiting").exists())
    finally:
        beating.stop()
    assert not Worker.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_does_not_answer_for_a_while_does_not_stop_it(monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.02)
    answers = iter([DatabaseError("gone"), DatabaseError("still gone")])
    beats = []

    def renew(held):
        if error := next(answers, None):
            raise error
        beats.append(held)
        return set()

    monkeypatch.setattr(leases, "renew", renew)
    beating = Heartbeat("worker")
    beating.start()
    try:
        wait_until(lambda: beats)
    finally:
        beating.stop()
