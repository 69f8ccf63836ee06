"""Processor time by role: who is counted, and for what."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.benchmarks.processors import (
    BROWSER,
    CONTROL_PLANE,
    PAGE,
    RELAY,
    S3,
    Process,
    always,
    by_role,
    of_browser,
    of_site,
    spent,
)

BUSY = "import time\nwhile time.process_time() < 0.15: pass\n"
WAIT = "import sys; sys.stdin.read()"


@contextmanager
def parent_of(child: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs this in a child, tells when that has ended, and stays until its standard input ends."""
    program = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])\nprint('done', flush=True)\n{WAIT}"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.communicate()


def test_what_a_child_used_is_counted_after_it_has_ended() -> None:
    with parent_of(BUSY) as process, spent({process.pid: always(RELAY)}) as seconds:
        assert process.stdout
        assert process.stdout.readline() == "done\n"
    assert seconds[RELAY] >= 0.1


def test_a_child_that_runs_has_the_role_that_its_command_says() -> None:
    def role(process: Process) -> str:
        return "child" if BUSY + WAIT in process.command else "parent"

    deadline = time.monotonic() + 20
    with parent_of(BUSY + WAIT) as process:
        while by_role({process.pid: role}).get("child", 0.0) < 0.1:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_process_that_is_not_there_used_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with spent({process.pid: always(RELAY)}) as seconds:
        pass
    assert seconds == {}


def process_of(*command: str) -> Process:
    return Process(1, 0.0, command)


def test_roles_of_a_browser_and_of_a_site() -> None:
    assert of_browser(process_of("/usr/lib/chromium/chromium", "--headless=new")) == BROWSER
    assert of_browser(process_of("/usr/lib/chromium/chromium --type=renderer --lang=en")) == PAGE
    assert of_browser(process_of("/usr/lib/chromium/chromium", "--type=renderer")) == PAGE
    assert of_browser(process_of("/usr/lib/chromium/chromium --type=utility")) == BROWSER
    assert of_site(process_of("python", "-m", "local_aws", "--port", "4566")) == S3
    assert of_site(process_of("python", "manage.py", "worker")) == CONTROL_PLANE
