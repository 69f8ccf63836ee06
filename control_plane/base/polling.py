"""Polling: look again and again until something holds, or a time is up."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_not_result, stop_after_delay, wait_fixed

T = TypeVar("T")


def poll_until(
    look: Callable[[], T],
    is_done: Callable[[T], bool],
    *,
    seconds: float,
    every: float,
    waiting: Callable[[T], None] = lambda seen: None,
) -> T:
    """Look at once and then `every` so many seconds, until what is seen is done or `seconds` are over. Return what was seen last.

    Before each pause `waiting` is called with what was seen. What any of them raises ends the polling.
    """

    def seen(state: RetryCallState) -> T:
        assert state.outcome is not None  # noqa: S101  # for the types: it was called
        result: T = state.outcome.result()
        return result

    polling = Retrying(
        retry=retry_if_not_result(is_done),
        stop=stop_after_delay(seconds),
        wait=wait_fixed(every),
        before_sleep=lambda state: waiting(seen(state)),
        retry_error_callback=seen,
    )
    return polling(look)


class Changes:
    """What is printed while something is waited for: each line once, as long as it stays the same."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write, self.last = write, ""

    def tell(self, line: str) -> None:
        """Print the line unless it was the last one."""
        if line != self.last:
            self.write(line)
            self.last = line
