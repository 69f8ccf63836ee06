"""Limit on the files and zips that one process sends at the same time: each keeps a thread busy until it is received."""

import threading

MAX_AT_ONCE = 2

_slots = threading.BoundedSemaphore(MAX_AT_ONCE)


class Busy(RuntimeError):
    """Refusal: this process sends as much as it may."""


class SendingSlot:
    """Slot for one transfer, held until it is closed. Raises Busy if there is none."""

    def __init__(self) -> None:
        if not _slots.acquire(blocking=False):
            raise Busy
        self._is_open = True

    def close(self) -> None:
        """Release the slot. May be called again."""
        if self._is_open:
            self._is_open = False
            _slots.release()
