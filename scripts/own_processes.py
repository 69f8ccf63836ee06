"""Ownership of a site's folder, ports and processes: nothing else takes them, and they end when `make up` does."""

import errno
import fcntl
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from local_aws.parent import dying_with

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 30
# What an earlier start left behind, killed, is on its way out.
LEAVING_SECONDS = 10.0
LISTENING = "0A"
# Below this SQLite, the embedded AWS and the logs may find no room for what they write at any moment.
MIN_FREE_BYTES = 300_000_000


class Taken(RuntimeError):
    """The folder or a port belongs to another process. The message says whose, and what to do."""


@contextmanager
def hold_folder(folder: Path, url: str) -> Iterator[None]:
    """Hold the folder for one `make up`. The lock ends with the process, however that ends. Raises Taken."""
    folder.mkdir(parents=True, exist_ok=True)
    file = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            said = os.read(file, 200).decode(errors="replace").split()
            whose = f"process {said[0]}, {said[1]}" if len(said) == 2 else "another process"
            raise Taken(
                f"`make up` runs already for {folder} ({whose}). Nothing was started. Use that one, or stop it with Ctrl-C, "
                "or start another site in a folder of its own: `make up VAR_DIR=var2 PORT=8001 AWS_PORT=4567`."
            ) from error
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()} {url}\n".encode())
        yield
    finally:
        os.close(file)


def bind_port(name: str, port: int, seconds: float = 0.0) -> socket.socket:
    """Return a listening socket of this port on loopback, to be handed to the process that serves on it.

    Nobody else can answer there. Tries for so many seconds. Raises Taken, which names who has the port.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _bind(port)
        except OSError as error:
            if time.monotonic() >= deadline:
                raise Taken(
                    f"Port {port} is in use or not allowed ({error.strerror}{_holder(port)}). Nothing was started. "
                    f"Stop what uses it, or choose another: `make up {name}={port + 1}`."
                ) from error
            time.sleep(0.1)


def _bind(port: int) -> socket.socket:
    own = socket.socket()
    try:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind((HOST, port))
        # Two sockets may be bound to one port as long as neither listens.
        own.listen()
        _refuse_the_other_localhost(port)
    except OSError:
        own.close()
        raise
    return own


@contextmanager
def running(
    command: Sequence[str], log: Path, environment: Mapping[str, str], *sockets: socket.socket
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process of ours in a session of its own, so that Ctrl-C reaches us first; end it with all its children, and with us."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=[listener.fileno() for listener in sockets],
            preexec_fn=dying_with(os.getpid()),
        )
    for listener in sockets:
        # From now on it is the process's alone: nobody is kept waiting at it once that has ended.
        listener.close()
    try:
        yield process
    finally:
        stop_process(process)


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to stop; after a while, kill it and whatever it left behind."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"Process {process.pid} did not stop within {STOP_SECONDS} s and is ended.", file=sys.stderr)
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def is_short_of_room(folder: Path) -> bool:
    """Return whether the disk of the folder has less room than a site needs from one moment to the next."""
    return shutil.disk_usage(folder).free < MIN_FREE_BYTES


def _refuse_the_other_localhost(port: int) -> None:
    """Check that nobody serves on [::1], where some programs look for localhost first. Raises OSError."""
    if not socket.has_ipv6:
        return
    with socket.socket(socket.AF_INET6) as other:
        try:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("::1", port))
        except OSError as error:
            # A machine without that address has nobody there.
            if error.errno == errno.EADDRINUSE:
                raise


def _holder(port: int) -> str:
    """Return a clause on who listens there, as far as this system tells: `, by process 123: python ...`."""
    for process in _with_sockets(_listeners(port)):
        try:
            words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        return f", by process {process}: {shlex.join(word for word in words if word)[:120]}"
    return ""


def _listeners(port: int) -> set[str]:
    """Return the numbers of the sockets that listen on this port."""
    numbers = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        columns = [row.split() for row in rows]
        numbers |= {row[9] for row in columns if row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port}
    return numbers


def _with_sockets(numbers: set[str]) -> Iterator[int]:
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if numbers else ():
        try:
            target = str(descriptor.readlink())
        except OSError:
            continue
        if (match := re.fullmatch(r"socket:\[(\d+)\]", target)) and match[1] in numbers:
            yield int(descriptor.parts[2])
