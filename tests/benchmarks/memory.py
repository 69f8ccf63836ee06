"""Memory of processes while they do something."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.e2e.site import children_of

# Seldom enough to leave the cores to what is measured.
LOOK_SECONDS = 0.25


class Memory:
    """The most that some processes hold above what they held at first, in bytes, as a context manager."""

    def __init__(self, held: Callable[[], int]) -> None:
        """Prepare. `held` tells the bytes that they hold now."""
        self.above = 0
        self._held = held
        self._idle = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._idle = self._held()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            self.above = max(self.above, self._held() - self._idle)


def of_chromium() -> int:
    """Return the bytes that all of Chromium's processes hold: proportional set size."""
    return sum(_held(process) for process in Path("/proc").glob("[0-9]*") if b"chrom" in _command(process).split(b"\0")[0])


def of_web_server(site_pid: int) -> int:
    """Return the bytes that the processes of the web server of this site hold."""
    processes = [Path(f"/proc/{pid}") for pid in children_of(site_pid)]
    return sum(_held(process) for process in processes if b"gunicorn" in _command(process))


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def _held(process: Path) -> int:
    try:
        rollup = (process / "smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:"))
