"""A whole site of the test's own, started as `make up` starts it, and the doors to it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_aws.server import free_port, write_pace
from stacks import env_file
from stacks.environment import isolated
from tests.calls import recorded
from tests.clients import make_client
from tests.e2e.typist import Typist
from tests.faults import Faults
from tests.stillness import go_on, stand_still

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 300
COMMAND_SECONDS = 240
HELD_SECONDS = 300
# What the machine may have set for other purposes and the site must not see.
FOREIGN = (
    "AWS_",
    "BUCKET_PATTERNS",
    "COHORT_",
    "DJANGO_",
    "SECRET_KEY",
    "DATABASE_URL",
    "SITE_URL",
    "SECURE_COOKIES",
    "VAR_DIR",
    "S3_BROWSER_URL",
)


@dataclass
class Finished:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed, read as JSON."""
        return json.loads(self.out)


class Site:
    """`scripts/up.py` with a folder and ports of its own."""

    def __init__(self, var: Path, **settings: str) -> None:
        self.var = var
        self.port, self.aws_port = free_port(), free_port()
        self.url, self.endpoint = f"http://localhost:{self.port}", f"http://localhost:{self.aws_port}"
        clean = {name: value for name, value in isolated(os.environ).items() if not name.startswith(FOREIGN)}
        self._base = recorded(clean | {"VAR_DIR": str(var)})
        self._settings = {"PORT": str(self.port), "AWS_PORT": str(self.aws_port), **settings}
        self._process: subprocess.Popen[str] | None = None
        self._faults: Faults | None = None
        self._typist: Typist | None = None

    def surround(self, environment: dict[str, str]) -> None:
        """Have the start and every command find this in their shell. Before `start`."""
        self._base |= environment

    def change(self, **settings: str) -> None:
        """Give `make up` these settings too, or without a value take them away. Before `start`."""
        self._settings |= settings

    def have_browsers_use(self, faults: Faults) -> None:
        """Have browsers reach S3 through this proxy. Before `start`."""
        self._faults = faults
        self._settings["S3_BROWSER_URL"] = faults.endpoint

    @property
    def faults(self) -> Faults:
        """What browsers' requests to S3 go through."""
        assert self._faults is not None
        return self._faults

    def start(self) -> str:
        """Start it and return what it printed until it was ready."""
        log = self.var.parent / f"{self.var.name}-up.log"
        with log.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "scripts/up.py"],
                cwd=ROOT,
                env=self._base | self._settings | {"COHORT_GIVEN": " ".join(self._settings)},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while "Ready: " not in (text := log.read_text()):
            assert self._process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        return text

    def stop(self, number: int = signal.SIGINT) -> int:
        """Stop it as Ctrl-C would, and return its exit status."""
        assert self._process is not None
        if self._typist is not None:
            self._typist.stop()
            self._typist = None
        self._process.send_signal(number)
        return self._process.wait(60)

    @property
    def pid(self) -> int | None:
        """The start script's process, if it was started."""
        return self._process.pid if self._process else None

    @contextmanager
    def worker_paused(self) -> Iterator[None]:
        """Stop the worker for a while, as a host that stands still would."""
        assert self.pid is not None
        workers = [pid for pid in children_of(self.pid) if b"manage.py\0worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        stand_still(workers, self.var / "cohort.sqlite3")
        try:
            yield
        finally:
            go_on(workers)

    @contextmanager
    def held(self, *types: str) -> Iterator[None]:
        """CloudFormation gets no further than a resource (of these types) until the block ends.

        What is under way can be looked at meanwhile, however long a busy machine takes over the looking.
        """
        write_pace(self.var / "aws", HELD_SECONDS, *types)
        try:
            yield
        finally:
            write_pace(self.var / "aws", 0)

    def manage(self, *arguments: str, **settings: str) -> Finished:
        """Run a command of `manage.py` as a person in the checkout would: with nothing set but where the state lies.

        Settings given here hold, whatever the site's own file says.
        """
        if settings:
            changed = [f"{name}={value}" for name, value in settings.items()]
            return self._run([sys.executable, "-m", "tests.e2e.otherwise", *changed, "--", *arguments])
        if self._process is None:
            return self._run([sys.executable, "manage.py", *arguments])
        self._typist = self._typist or Typist(self._base, self.var.parent)
        return Finished(*self._typist.run(arguments, COMMAND_SECONDS))

    def must(self, *arguments: str) -> Any:
        """Run a command that has to succeed, and return its JSON."""
        done = self.manage(*arguments, "--json")
        assert done.status == 0, done.err + done.out
        return done.document

    def set_password(self, email: str, password: str) -> None:
        """As if this person had set a password by the link in their e-mail, which also verifies their address."""
        lines = (
            "from allauth.account.models import EmailAddress",
            "from control_plane.accounts.models import User",
            f"user = User.objects.get(email={email!r})",
            f"user.set_password({password!r})",
            "user.save()",
            "EmailAddress.objects.update_or_create(user=user, email=user.email, defaults={'verified': True, 'primary': True})",
        )
        done = self.manage("shell", "-c", "\n".join(lines))
        assert done.status == 0, done.err

    def cdk(self, *arguments: str) -> Finished:
        """Run the CDK command line by hand."""
        return self._run([sys.executable, "scripts/cdk_command.py", *arguments])

    def _run(self, command: list[str]) -> Finished:
        done = subprocess.run(
            command, cwd=ROOT, env=self._base, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    @property
    def env_file(self) -> dict[str, str]:
        """The settings that the site wrote for its commands."""
        return env_file.read(self.var / "env")

    @property
    def administrator(self) -> tuple[str, str]:
        """Who can sign in first, and their password."""
        return "admin@example.org", (self.var / "admin-password").read_text().strip()

    def root(self, service: str, account: str = "") -> Any:
        """A client that may do everything in the site's account, or in another: only for looking at the other end."""
        return make_client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=account or self.env_file["COHORT_ACCOUNT"],
            aws_secret_access_key="root",
        )

    def credentials(self, group: str, email: str) -> dict[str, str]:
        """A member's credentials, by the command that hands them out."""
        done = self.manage("member", "credentials", group, email)
        assert done.status == 0, done.err
        return done.document  # type: ignore[no-any-return]

    def client(self, service: str, credentials: dict[str, str]) -> Any:
        """A client with a member's credentials."""
        return make_client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"),
        )

    def wait_for_deployments(self) -> None:
        """Return when nothing waits or runs any more."""
        deadline = time.monotonic() + 120
        while any(deployment["state"] in ("queued", "running") for deployment in self.must("deployment", "list")):
            assert time.monotonic() < deadline
            time.sleep(0.5)


def children_of(pid: int) -> list[int]:
    """The process's children and theirs, by Linux's own account."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            match = re.match(r"(\d+) \(.*\) \S (\d+)", stat.read_text())
        except OSError:
            continue
        if match and int(match[2]) == pid:
            found += [int(match[1]), *children_of(int(match[1]))]
    return found
