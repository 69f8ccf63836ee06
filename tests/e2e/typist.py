"""Runs commands of `manage.py` in forks of one process that has loaded Django already: most of what a command takes is that.

Each has its own process, standard output and exit status, as at a terminal. `python -m tests.e2e.typist <socket>`.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 30


class Typist:
    """The process, and the way to have it run a command."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        # A socket's path has at most 107 characters.
        self._folder = tempfile.TemporaryDirectory(prefix="typist-")
        self._socket = str(Path(self._folder.name) / "s")
        self._log = (folder / "typist.log").open("w")
        command = [sys.executable, "-m", "tests.e2e.typist", self._socket]
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self._log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + READY_SECONDS
        while not Path(self._socket).exists():
            assert self._process.poll() is None, Path(self._log.name).read_text()
            assert time.monotonic() < deadline, "the typist did not begin"
            time.sleep(0.02)

    def run(self, arguments: tuple[str, ...], seconds: float) -> tuple[int, str, str]:
        """The command's exit status, output and errors."""
        with Client(self._socket) as connection:
            connection.send(arguments)
            assert connection.poll(seconds), f"manage.py {' '.join(arguments)} did not end within {seconds} s"
            status, out, err = connection.recv()
            return status, out, err

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(10)
        self._log.close()
        self._folder.cleanup()


def serve(socket: str) -> None:
    """Load what commands need, then fork for each that is asked for."""
    import boto3  # noqa: F401
    import django

    from control_plane.base.config import load_environment

    load_environment()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control_plane.settings")
    django.setup()
    # Nobody waits for the forks: they answer by themselves.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with Listener(f"{socket}.part", backlog=64) as listener:
        # Under its own name once it listens.
        Path(f"{socket}.part").rename(socket)
        while True:
            connection = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(connection)
            connection.close()


def _answer(connection: Connection) -> None:
    from django.core.management import execute_from_command_line

    arguments, status = connection.recv(), 0
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        # As a command of its own would see it.
        sys.argv = ["manage.py", *arguments]
        try:
            execute_from_command_line(sys.argv)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            if isinstance(ended.code, str):
                sys.stderr.write(f"{ended.code}\n")
        except BaseException:
            status = 1
            traceback.print_exc()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        out.seek(0)
        err.seek(0)
        connection.send((status, out.read().decode(), err.read().decode()))
    connection.close()
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
