"""What uploads are measured against: AWS's own command line, of one version, in a virtual environment of its own.

`python -m tests.benchmarks.peer` installs it and prints its version. It is installed from where pip is told to look, so the network
must be reached as the person's shell reaches it: install it before `isolate_this_process` takes the proxies away.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from stacks.environment import isolated

ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("awscli-requirements.txt")
VENV = ROOT / ".venv-awscli"
START_UPS = 3
LAST_LINES = 20
# What this process's own environment says to Python would reach that of the command line.
OURS = ("VIRTUAL_ENV", "PYTHON")


class PeerMissing(RuntimeError):
    """The command line could not be installed, or does not run. The message says why, and nothing can be compared with it."""


class PeerFailed(RuntimeError):
    """The command line ended with an error, or what it was to copy is not there. The message holds what it said."""


class Peer:
    """The installed command line."""

    def __init__(self, folder: Path, version: str) -> None:
        """Take what is installed in this virtual environment: `Peer.installed()` makes it."""
        self._folder = folder
        # As it is named in a table: "aws-cli 1.46.3".
        self.version = version

    @classmethod
    def installed(cls, folder: Path = VENV) -> Self:
        """Install what the lock file names, with its hashes, unless that was done. Raises PeerMissing."""
        stamp = folder / "installed"
        if not stamp.exists() or stamp.read_text() != LOCK.read_text():
            print("Installing AWS's command line, once: some seconds ...", flush=True)
            _must(sys.executable, "-m", "venv", "--clear", folder)
            # Pip of this environment has the person's index and certificates, since it reads the same configuration as any other.
            _must(folder / "bin/python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", LOCK)
            stamp.write_text(LOCK.read_text())
        said = _must(folder / "bin/aws", "--version")
        version = re.match(r"aws-cli/(\S+)", said)
        if version is None or f"awscli=={version[1]} " not in LOCK.read_text():
            raise PeerMissing(f"{folder}/bin/aws is not the version that {LOCK.name} names: {said.strip()}. Remove {folder}.")
        return cls(folder, f"aws-cli {version[1]}")

    def copy(self, source: str | Path, target: str | Path, endpoint: str, credentials: Mapping[str, str]) -> float:
        """Copy a file or a folder to or from `s3://...`, and return the seconds from its start to its end. Raises PeerFailed.

        `credentials` are those of `manage.py member credentials`: AccessKeyId, SecretAccessKey, perhaps SessionToken.
        """
        more = ["--recursive"] if isinstance(source, Path) and source.is_dir() else []
        command = [self._folder / "bin/aws", "--endpoint-url", endpoint, "s3", "cp", source, target, "--only-show-errors", *more]
        words = [str(word) for word in command]
        environment = isolated(_without_ours(os.environ), _settings(credentials))
        began = time.monotonic()
        done = subprocess.run(words, env=environment, capture_output=True, text=True, errors="replace", check=False)
        seconds = time.monotonic() - began
        if done.returncode:
            raise PeerFailed(f"`aws s3 cp` of {source} to {target} ended with status {done.returncode}:\n{_end(done)}")
        return seconds

    def start_up_seconds(self, target: str, endpoint: str, credentials: Mapping[str, str]) -> float:
        """Return the median of the seconds that it takes to copy an empty file to this key (`s3://...`). Raises PeerFailed."""
        with tempfile.NamedTemporaryFile(prefix="cohort-empty-") as empty:
            return statistics.median(self.copy(Path(empty.name), target, endpoint, credentials) for _ in range(START_UPS))


def _settings(credentials: Mapping[str, str]) -> dict[str, str]:
    names = {"AccessKeyId": "AWS_ACCESS_KEY_ID", "SecretAccessKey": "AWS_SECRET_ACCESS_KEY", "SessionToken": "AWS_SESSION_TOKEN"}
    given = {name: credentials[key] for key, name in names.items() if key in credentials}
    return given | {"AWS_DEFAULT_REGION": "us-east-1"}


def _without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(OURS)}


def _must(*command: str | Path) -> str:
    """Run a command and return what it printed. Raises PeerMissing."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, env=_without_ours(os.environ), capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise PeerMissing(f"`{' '.join(words)}` cannot be run: {error.strerror}.") from error
    if done.returncode:
        raise PeerMissing(
            f"AWS's command line could not be installed: `{' '.join(words)}` said\n{_end(done)}\nNothing was measured."
        )
    return done.stdout


def _end(done: subprocess.CompletedProcess[str]) -> str:
    return "\n".join((done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:]) or "(It said nothing.)"


if __name__ == "__main__":
    print(Peer.installed().version)
