"""What nobody asked for and is done all the same: forgotten stacks, nightly drift checks, runs of lost workers."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from control_plane.base.config import config
from control_plane.deployments.drift_schedule import start_due_drift_checks
from control_plane.deployments.engine import leases
from control_plane.deployments.engine.upkeep import queue_out_of_step
from control_plane.deployments.models import Deployment, DriftState, Failure, Preview, Stack
from control_plane.worker.sweep import sweep
from tests.control_plane.fakes import claim_one, configure
from tests.factories import DeploymentFactory, PreviewFactory, settle

pytestmark = pytest.mark.django_db
NIGHT, DAY = datetime(2026, 3, 1, 2, 30, tzinfo=UTC), datetime(2026, 3, 1, 14, 30, tzinfo=UTC)


@pytest.fixture
def stack(group):
    """A stack that is out of step, with nothing on its way."""
    settle(group.stack)
    Stack.objects.update(deployed_generation=0)
    return Stack.objects.get()


@pytest.fixture
def it_is(monkeypatch):
    return lambda moment: monkeypatch.setattr("django.utils.timezone.now", lambda: moment)


def last_run(stack, state, failure="", ended_ago=timedelta(hours=2)):
    ended = timezone.now() - ended_ago
    return DeploymentFactory.create(stack=stack, state=state, failure=failure, finished_at=ended)


def test_it_works(stack):
    (deployment,) = queue_out_of_step()
    assert (deployment.state, deployment.generation) == ("queued", stack.generation)
    assert (deployment.changes.get().summary, deployment.changes.get().actor) == (
        "Bringing Example Lab to what is wanted",
        "system:sweep",
    )


def test_two_sweeps_do_not_do_it_twice(stack):
    assert len(queue_out_of_step()) == 1
    assert queue_out_of_step() == []
    assert Deployment.objects.open().count() == 1


def test_what_is_up_to_date_or_on_its_way_is_left_alone(group):
    assert queue_out_of_step() == []
    settle(group.stack)
    assert queue_out_of_step() == []


@pytest.mark.parametrize(
    ("state", "failure", "ended_ago", "taken_up"),
    [
        ("failed", Failure.PERMANENT, timedelta(days=3), False),
        ("failed", "", timedelta(days=3), False),
        ("cancelled", "", timedelta(days=3), False),
        ("failed", Failure.RETRYABLE, timedelta(minutes=29), False),
        ("failed", Failure.RETRYABLE, timedelta(minutes=31), True),
        ("failed", Failure.REPAIRABLE, timedelta(minutes=31), True),
        ("succeeded", "", timedelta(days=3), True),
    ],
)
def test_what_waits_for_somebody_waits_and_what_may_have_passed_is_tried_again(stack, state, failure, ended_ago, taken_up):
    last_run(stack, state, failure, ended_ago)
    assert len(queue_out_of_step()) == taken_up


def test_what_was_refused_of_an_older_generation_does_not_hold_up_a_newer_one(stack):
    last_run(stack, "failed", Failure.PERMANENT)
    Stack.objects.update(generation=stack.generation + 1)
    assert len(queue_out_of_step()) == 1


def test_the_newest_run_alone_says_whether_somebody_is_waited_for(stack):
    last_run(stack, "failed", Failure.PERMANENT)
    last_run(stack, "failed", Failure.RETRYABLE)
    assert len(queue_out_of_step()) == 1


def checks():
    return DBTaskResult.objects.filter(task_path="control_plane.deployments.tasks.check_drift").count()


def test_each_stack_s_drift_is_checked_at_night_and_once(group, it_is):
    settle(group.stack)
    it_is(NIGHT)
    assert (start_due_drift_checks(), start_due_drift_checks(), checks()) == (1, 0, 1)
    assert Stack.objects.get().drift_state == DriftState.CHECKING


def test_by_day_no_drift_is_checked(group, it_is):
    settle(group.stack)
    it_is(DAY)
    assert (start_due_drift_checks(), checks()) == (0, 0)


def test_a_stack_that_was_checked_today_or_is_out_of_step_is_left_alone(group, it_is):
    it_is(NIGHT)
    assert start_due_drift_checks() == 0
    settle(group.stack)
    Stack.objects.update(drift_state=DriftState.IN_SYNC, drift_checked_at=NIGHT - timedelta(hours=19))
    assert start_due_drift_checks() == 0
    Stack.objects.update(drift_checked_at=NIGHT - timedelta(hours=21))
    assert start_due_drift_checks() == 1


def test_a_check_that_got_lost_is_made_again_by_day_too(group, it_is):
    settle(group.stack)
    Stack.objects.update(drift_state=DriftState.CHECKING, drift_checked_at=DAY - timedelta(minutes=14))
    it_is(DAY)
    assert start_due_drift_checks() == 0
    Stack.objects.update(drift_checked_at=DAY - timedelta(minutes=16))
    assert (start_due_drift_checks(), start_due_drift_checks()) == (1, 0)


def test_the_nightly_check_can_be_turned_off(group, it_is, monkeypatch):
    settle(group.stack)
    it_is(NIGHT)
    configure(monkeypatch, "drift_schedule", cohort_drift_check=False)
    sweep()
    assert checks() == 0
    configure(monkeypatch, "drift_schedule", cohort_drift_check=True)
    sweep()
    assert checks() == 1


def test_runs_of_lost_workers_go_on_and_old_leftovers_are_cleared(group):
    deployment = claim_one()
    Stack.objects.update(lease_expires_at=leases.in_seconds(-1))
    old, new = (PreviewFactory.create(title=title) for title in ("old", "new"))
    Preview.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))
    leftover, in_use = config().var_dir / "cdk/assembly-old", config().var_dir / "cdk/assembly-new"
    for folder in (leftover, in_use):
        folder.mkdir(parents=True)
    os.utime(leftover, (0, 0))
    sweep()
    deployment.refresh_from_db()
    assert deployment.state == "queued"
    assert list(Preview.objects.all()) == [new]
    assert (leftover.exists(), in_use.exists()) == (False, True)
    in_use.rmdir()
