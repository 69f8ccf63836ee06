"""The wait before a further try."""

from control_plane.deployments.backoff import MAX_WAIT_SECONDS, backoff


def test_it_doubles_and_many_do_not_come_at_once():
    for attempts, ceiling in ((1, 10), (2, 20), (3, 40), (5, 160)):
        waits = [backoff(attempts, 10) for _ in range(200)]
        assert ceiling / 2 <= min(waits) < max(waits) <= ceiling
        assert len(set(waits)) > 100


def test_it_is_never_longer_than_five_minutes():
    assert max(backoff(attempts, 10) for attempts in range(1, 100)) <= MAX_WAIT_SECONDS


def test_without_a_wait_it_is_tried_at_once():
    assert backoff(3, 0) == 0
