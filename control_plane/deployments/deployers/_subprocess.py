"""Child process whose output is streamed line by line, and that is ended with all its own children."""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TICK_SECONDS = 1.0
GRACE_SECONDS = 5.0
DIE_WITH_PARENT = Path(__file__).with_name("_die_with_parent.py")


class TimedOut(TimeoutError):
    """The process took too long and was ended."""


def run_streaming(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    on_tick: Callable[[], None],
    seconds: float,
) -> int:
    """Run `command`, and pass each line of its output and errors to `on_line`. Returns its exit status. Raises TimedOut.

    `on_tick` is called at least every TICK_SECONDS.

    Whatever ends this call early (a time-out, an error in a callback) ends the process and its children too.
    """
    process = subprocess.Popen(
        # Isolated from the environment's Python settings and from site-packages, so that it starts in no time.
        [sys.executable, "-I", "-S", str(DIE_WITH_PARENT), *command],
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        _pump(process, on_line=on_line, on_tick=on_tick, deadline=time.monotonic() + seconds)
        return process.wait()
    finally:
        _end(process)


def _pump(
    process: subprocess.Popen[bytes], *, on_line: Callable[[str], None], on_tick: Callable[[], None], deadline: float
) -> None:
    if process.stdout is None:
        raise ValueError("The process was started without a pipe for its output.")
    descriptor = process.stdout.fileno()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            on_tick()
            if time.monotonic() > deadline:
                raise TimedOut
            if not selector.select(timeout=TICK_SECONDS):
                continue
            chunk = os.read(descriptor, 65536)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in [*lines, *([rest] if not chunk and rest else [])]:
                on_line(line.decode("utf-8", errors="replace").rstrip())
            if not chunk:
                return


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
