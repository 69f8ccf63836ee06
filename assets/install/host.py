"""This host, for the install scripts: its paths, its values from CloudFormation, running commands, and logging."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Tests install into a folder of their own.
ROOT = Path(os.environ.get("COHORT_ROOT", "/"))
IS_REAL = Path("/") == ROOT

WEB_USER, WORKER_USER, GROUP = "cohort-web", "cohort-worker", "cohort"
HOST_ENV = "/etc/cohort/host.env"
DATA = "/var/lib/cohort"
RELEASES = "/opt/cohort/releases"
CURRENT = "/opt/cohort/current"


class Failed(RuntimeError):
    """A step failed. The message says why, what was not changed, and what to do."""


def host_path(path: str) -> Path:
    """Return the path of this host's file, below the root that is installed into."""
    return ROOT / path.lstrip("/")


def log(message: str) -> None:
    """Log a message, for cloud-init's log, the journal and CloudWatch."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} cohort: {message}", flush=True)


def host_values(path: str = HOST_ENV) -> dict[str, str]:
    """Read the NAME=value lines of a file, unquoted. Raises Failed."""
    try:
        lines = host_path(path).read_text().splitlines()
    except OSError as error:
        raise Failed(f"{host_path(path)} cannot be read: {error.strerror}. cloud-init writes it at the first start.") from None
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def run(
    *words: object, env: Mapping[str, str] | None = None, cwd: Path | None = None, ok: Sequence[int] = (0,), umask: int = -1
) -> str:
    """Run a command and return what it printed; its errors go to the log. Raises Failed with the end of both."""
    command = [str(word) for word in words]
    try:
        done = subprocess.run(
            command,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            text=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            umask=umask,
        )
    except OSError as error:
        raise Failed(f"`{command[0]}` cannot be run: {error.strerror}.") from None
    if done.stderr.strip():
        print(done.stderr.rstrip(), file=sys.stderr, flush=True)
    if done.returncode not in ok:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise Failed(f"`{' '.join(command)}` failed with status {done.returncode}: {said or 'it said nothing'}")
    return done.stdout


def set_owner(path: Path, user: str, group: str, mode: int) -> None:
    """Give a file or folder its owner, group and mode; below another root its mode alone, as its users are not ours to name."""
    if IS_REAL:
        shutil.chown(path, user, group)
    path.chmod(mode)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file in one step, with its mode from the start."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    beside.chmod(mode)
    beside.replace(path)
