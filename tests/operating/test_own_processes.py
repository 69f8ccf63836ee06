"""A site's folder, ports and processes: nobody else takes them, and they end with whoever started them."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import own_processes
import pytest
from own_processes import Taken, bind_port, hold_folder

from tests.control_plane.processes import is_alive, wait_until

ROOT = Path(__file__).resolve().parents[2]
STARTER = """
import os, sys, time
sys.path[:0] = [{root!r}, {root!r} + "/scripts"]
from pathlib import Path
from own_processes import running
with running([sys.executable, "-c", "import time; time.sleep(600)"], Path(sys.argv[1]), os.environ) as process:
    print(process.pid, flush=True)
    time.sleep(600)
"""


def test_a_folder_is_held_by_one_start_at_a_time_and_the_second_names_the_first(tmp_path: Path) -> None:
    with (
        hold_folder(tmp_path, "http://localhost:8000"),
        pytest.raises(Taken, match=rf"process {os.getpid()}, http://localhost:8000.*Nothing was started"),
        hold_folder(tmp_path, "http://localhost:8001"),
    ):
        pass
    with hold_folder(tmp_path, "http://localhost:8001"):
        pass


def test_a_port_in_use_names_the_process_that_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Taken, match=rf"Port {port} is in use .*by process {os.getpid()}: .*make up AWS_PORT={port + 1}"):
            bind_port("AWS_PORT", port)


def test_a_port_that_is_bound_can_be_nobody_else_s() -> None:
    with bind_port("PORT", 0) as own, pytest.raises(Taken):
        bind_port("PORT", own.getsockname()[1])


def test_who_serves_on_the_other_localhost_is_found_before_anybody_asks_there() -> None:
    try:
        other = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        # A machine without that address has nobody there, which is no reason not to start.
        bind_port("PORT", 0).close()
        return
    with other, pytest.raises(Taken, match=rf"by process {os.getpid()}"):
        bind_port("PORT", other.getsockname()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a process that its parent has ended")
def test_what_was_started_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER.format(root=str(ROOT)), str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        child = int(starter.stdout.readline())
        starter.kill()
    wait_until(lambda: not is_alive(child), 30)


def test_a_disk_without_room_is_told_from_one_with_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    for free, is_short in ((own_processes.MIN_FREE_BYTES - 1, True), (own_processes.MIN_FREE_BYTES, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        assert own_processes.is_short_of_room(tmp_path) is is_short
