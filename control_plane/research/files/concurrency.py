"""How many files and zips one process sends itself at the same time: each keeps a thread busy until its receiver has it all."""

import threading

MAX_AT_ONCE = 2

_slots = threading.BoundedSemaphore(MAX_AT_ONCE)


class Busy(RuntimeError):
    """This process sends as much as it may."""


class SendingSlot:
    """One of the few, taken until it is closed. Raises Busy where there is none."""

    def __init__(self) -> None:
        if not _slots.acquire(blocking=False):
            raise Busy
        self._is_open = True

    def close(self) -> None:
        """Give it back. May be called again."""
        if self._is_open:
            self._is_open = False
            _slots.release()
