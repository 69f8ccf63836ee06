"""Who works on which stack: claims, leases that run out, and what becomes of a run that did not end."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from control_plane.access.groups.models import Access
from control_plane.access.groups.services.groups import create_group
from control_plane.access.groups.services.members import add_member
from control_plane.deployments.cancelling import cancel
from control_plane.deployments.engine import leases
from control_plane.deployments.models import Deployment, Stack
from control_plane.notifications.models import Notice
from tests.actors import OPERATOR
from tests.control_plane.fakes import claim_next, claim_one, configure, lease_end

pytestmark = pytest.mark.django_db


def expire():
    Stack.objects.update(lease_expires_at=leases.in_seconds(-1))


def join(group, user):
    return add_member(group=group, user=user, access=Access.FEDERATED, actor=OPERATOR)


def put_back(deployment, **more):
    with transaction.atomic():
        assert leases.release(deployment)
        return leases.requeue(deployment, **more)


def test_it_works(group):
    assert leases.has_waiting()
    (deployment,) = leases.claim("one", 10)
    assert (deployment.state, deployment.worker, deployment.attempts) == ("running", "one", 1)
    stack = Stack.objects.get()
    assert stack.lease_owner == deployment.lease
    assert timedelta(0) < lease_end() - timezone.now() <= timedelta(seconds=60)
    assert not leases.has_waiting()


def test_many_are_claimed_at_once_the_longest_waiting_first(db):
    waiting = [create_group(slug=f"lab-{number}", actor=OPERATOR)[1].pk for number in range(5)]
    assert [deployment.pk for deployment in leases.claim("one", 3)] == waiting[:3]
    assert [deployment.pk for deployment in leases.claim("two", 10)] == waiting[3:]
    assert len(set(Stack.objects.values_list("lease_owner", flat=True))) == 5


def test_two_workers_never_have_the_same_stack(group, ada):
    (first,) = leases.claim("one", 10)
    second = join(group, ada)
    assert second.pk != first.pk
    Stack.objects.update(last_started_at=None)
    assert leases.claim("two", 10) == []
    # Not even once the lease has run out: the run is put back first.
    expire()
    assert leases.claim("two", 10) == []


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_the_same_moment_share_what_waits():
    waiting = {create_group(slug=f"lab-{number}", actor=OPERATOR)[1].pk for number in range(12)}

    def claim(worker):
        try:
            return [deployment.pk for _ in range(4) for deployment in leases.claim(worker, 1)]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        taken = [pk for found in pool.map(claim, ["one", "two", "three", "four"]) for pk in found]
    assert len(taken) == 12
    assert set(taken) == waiting


def test_a_run_covers_all_that_is_wanted_when_it_begins(group, ada):
    join(group, ada)
    (deployment,) = leases.claim("one", 10)
    assert (deployment.generation, deployment.from_generation) == (2, 0)


def test_right_after_a_run_began_further_changes_have_time_to_join_the_next(group, ada, monkeypatch):
    leases.release(*leases.claim("one", 1))
    Deployment.objects.update(state="succeeded")
    join(group, ada)
    assert not leases.has_waiting()
    configure(monkeypatch, "engine.leases", cohort_settle_seconds=0)
    assert leases.has_waiting()


def test_a_further_try_waits_for_its_time(group):
    put_back(claim_one(), seconds=60)
    assert claim_next() is None
    Deployment.objects.update(not_before=leases.in_seconds(-1))
    assert claim_one().attempts == 2


def test_a_run_that_is_handed_over_may_begin_at_once_and_counts_no_try(group):
    back = put_back(claim_one(), keep_try=False)
    assert (back.state, back.attempts, back.not_before) == ("queued", 0, None)
    assert claim_one().attempts == 1


def test_what_goes_on_while_more_was_asked_for_goes_on_in_that(group, ada):
    running = claim_one()
    Deployment.objects.filter(pk=running.pk).update(revert_drift=True)
    running.refresh_from_db()
    waiting = join(group, ada)
    assert put_back(running, seconds=60) == waiting
    running.refresh_from_db()
    waiting.refresh_from_db()
    assert (running.state, running.superseded_by, running.percent) == ("superseded", waiting, 100)
    assert running.finished_at is not None
    # The later change is new to AWS: its tries are counted from the beginning, but not sooner than AWS has rest.
    assert (waiting.state, waiting.attempts, waiting.revert_drift) == ("queued", 0, True)
    assert waiting.not_before > timezone.now()
    summaries = ["Making the group Example Lab", "Giving ada@example.org access to Example Lab"]
    assert list(waiting.changes.values_list("summary", flat=True)) == summaries


def test_a_lost_worker_s_run_goes_on_once_its_lease_has_run_out(group):
    lost = claim_one()
    assert leases.recover_abandoned() == []
    expire()
    assert leases.recover_abandoned() == [lost]
    lost.refresh_from_db()
    assert (lost.state, lost.attempts, lost.worker) == ("queued", 1, "")
    assert lost.log.latest("number").text == leases.ABANDONED
    assert leases.recover_abandoned() == []


def test_a_run_whose_worker_was_lost_six_times_has_failed_and_is_told(group, administrator):
    for _ in range(6):
        lost = claim_one()
        expire()
        went_on = leases.recover_abandoned()
    lost.refresh_from_db()
    assert went_on == []
    assert (lost.state, lost.error, lost.percent) == ("failed", leases.WORN_OUT, 100)
    assert Stack.objects.get().lease_owner == ""
    assert Notice.objects.get().event == "failed"


def test_a_run_that_was_to_be_cancelled_ends_rather_than_going_on(group):
    deployment = claim_one()
    cancel(deployment, actor=OPERATOR)
    assert put_back(deployment).state == "cancelled"
    assert deployment.error == "Cancelled by terminal:tester, between two tries."
    assert not leases.has_waiting()


def test_a_lease_is_prolonged_by_its_own_holder_alone(group):
    deployment = claim_one()
    expire()
    assert leases.confirm(deployment)
    assert lease_end() > timezone.now()
    Stack.objects.update(lease_owner="another")
    assert not leases.confirm(deployment)
    assert leases.renew([deployment]) == {deployment.pk}


def test_an_earlier_try_does_not_hold_the_lease_of_a_later_one(group):
    first = claim_one()
    expire()
    leases.recover_abandoned()
    second = claim_one()
    assert second.pk == first.pk
    assert leases.renew([first]) == {first.pk}
    assert not leases.release(first)
    assert Stack.objects.get().lease_owner == second.lease


@pytest.mark.parametrize("wrong_by", [timedelta(days=1), timedelta(days=-1)])
def test_a_host_whose_clock_is_wrong_takes_no_stack_from_another_and_leaves_none(group, monkeypatch, wrong_by):
    now = timezone.now
    running = claim_one()
    monkeypatch.setattr("django.utils.timezone.now", lambda: now() + wrong_by)
    assert leases.recover_abandoned() == []
    assert leases.confirm(running)
    assert now() < lease_end() < now() + timedelta(minutes=2)
    expire()
    assert leases.recover_abandoned() == [running]
    deployment = claim_one()
    put_back(deployment, seconds=60)
    assert claim_next() is None
    Deployment.objects.update(not_before=leases.in_seconds(-1))
    assert claim_one() == deployment
