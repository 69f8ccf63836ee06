"""Start and stop of the embedded AWS from another process: `make up` and the tests use this."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from local_aws._settings import HOST, IAM_DELAY_FILE, LIFECYCLE_TIME_FILE, MISSING_FILE, PACE_FILE
from stacks.environment import isolated_basics

ROOT = Path(__file__).resolve().parent.parent
# With a hundred thousand objects in its state it takes a minute. One that ends meanwhile is noticed at once.
START_SECONDS = 240.0
STOP_SECONDS = 15.0
# This machine itself is never asked of a proxy.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class DidNotStart(RuntimeError):
    """The embedded AWS ended or stayed silent. The message holds the end of its log."""


class EmbeddedAws:
    """A running embedded AWS, as a context manager. Its state stays in `state_dir`."""

    def __init__(self, port: int, state_dir: Path, pace: float = 0.0, listener: socket.socket | None = None) -> None:
        """Prepare, without starting. `listener` is a socket bound to the port already, for the first start."""
        self.port = port
        self._listener = listener
        self.endpoint = f"http://localhost:{port}"
        self._state = state_dir
        self._pace = pace
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_path(self) -> Path:
        """Path of its log."""
        return self._state / "aws.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and return when it answers. Raises DidNotStart.

        It serves on a socket that we bound: whoever answers at the port is our process, and no other.
        """
        self._state.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log, self._own_socket() as listener:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "local_aws"),
                    *("--port", str(self.port), "--state", str(self._state), "--pace", str(self._pace)),
                    *("--fd", str(listener.fileno()), "--parent", str(os.getpid())),
                ],
                cwd=ROOT,
                env=isolated_basics(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[listener.fileno()],
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise DidNotStart(
                    f"The embedded AWS did not start on port {self.port}. The end of {self.log_path}:\n{self._tail()}"
                )
            time.sleep(0.05)

    def set_pace(self, seconds: float, *types: str) -> None:
        """Set this instance's pace, as `write_pace` does."""
        write_pace(self._state, seconds, *types)

    def set_missing(self, status: Literal[403, 404]) -> None:
        """Have S3 answer so, from now on, about a missing object to a caller who may list under its prefix alone.

        No document of AWS decides it. 403 unless this is called: what is right under that is what Cohort has to be.
        """
        (self._state / MISSING_FILE).write_text(str(status))

    def set_lifecycle_time(self, moment: datetime) -> None:
        """Have lifecycle rules take this moment for now, within a second; see `_expiry`."""
        (self._state / LIFECYCLE_TIME_FILE).write_text(moment.isoformat())

    def set_iam_delay(self, seconds: float, seed: int | None = None) -> int:
        """Set this instance's IAM delay, as `write_iam_delay` does."""
        return write_iam_delay(self._state, seconds, seed)

    def stop(self) -> None:
        """Ask it to stop, which saves its state; end it if it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    @property
    def is_alive(self) -> bool:
        """True if it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Id of the process that serves, if one was started."""
        return self._process.pid if self._process else None

    def _own_socket(self) -> socket.socket:
        """Return the socket to serve on. Raises DidNotStart."""
        given, self._listener = self._listener, None
        if given is not None:
            return given
        own = socket.socket()
        try:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own.bind((HOST, self.port))
            # Two sockets may be bound to one port as long as neither listens.
            own.listen()
        except OSError as error:
            own.close()
            raise DidNotStart(f"The embedded AWS cannot start: port {self.port} is in use ({error.strerror}).") from error
        return own

    def _answers(self) -> bool:
        try:
            with DIRECTLY.open(f"http://127.0.0.1:{self.port}/_ministack/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def _tail(self) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-15:])


def free_port() -> int:
    """Return a port on loopback that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_pace(state: Path, seconds: float, *types: str) -> None:
    """Have CloudFormation take this long over each resource (of these types) from now on.

    It holds at once for the instance that keeps its state in this folder, whoever started it.
    """
    _write(state / PACE_FILE, " ".join((str(seconds), *types)))


def write_iam_delay(state: Path, seconds: float, seed: int | None = None) -> int:
    """Have each change of IAM be seen late, by so many seconds at the most, from now on; 0 ends that.

    Returns and prints the seed of which request sees what: given again, the same requests see the same.
    """
    seed = secrets.randbelow(10**6) if seed is None else seed
    if seconds:
        print(f"IAM's delay: {seconds:g} s, seed {seed}")
    _write(state / IAM_DELAY_FILE, f"{seconds} {seed}")
    return seed


def _write(file: Path, text: str) -> None:
    beside = file.with_name(f"{file.name}.new")
    beside.write_text(text)
    # In one step, so that no reader finds half a number.
    beside.replace(file)
