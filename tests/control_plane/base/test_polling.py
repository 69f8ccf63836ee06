"""Waiting until something holds."""

import math

import pytest

from control_plane.base.polling import Changes, poll_until


@pytest.fixture
def pauses(monkeypatch):
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


def counts(*, seconds, enough, waiting=lambda seen: None):
    numbers = iter(range(100))
    return poll_until(lambda: next(numbers), lambda seen: seen >= enough, seconds=seconds, every=0.5, waiting=waiting)


def test_it_looks_until_it_is_so(pauses):
    seen: list[int] = []
    assert counts(seconds=math.inf, enough=3, waiting=seen.append) == 3
    assert seen == [0, 1, 2]
    assert pauses == [0.5] * 3


def test_what_is_so_already_is_not_waited_for(pauses):
    assert counts(seconds=60, enough=0) == 0
    assert pauses == []


def test_without_time_it_looks_once(pauses):
    seen: list[int] = []
    assert counts(seconds=0, enough=3, waiting=seen.append) == 0
    assert (pauses, seen) == ([], [])


def test_an_error_ends_it(pauses):
    def look():
        raise ValueError("gone")

    with pytest.raises(ValueError, match="gone"):
        poll_until(look, bool, seconds=60, every=0.5)
    assert pauses == []


def test_a_line_is_printed_once_as_long_as_it_stays_the_same():
    printed: list[str] = []
    changes = Changes(printed.append)
    for line in ("a", "a", "b", "a"):
        changes.tell(line)
    assert printed == ["a", "b", "a"]
