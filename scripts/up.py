"""Serve the whole product on this machine until stopped: AWS, database, worker and web. `make up` runs it.

PORT, AWS_PORT and VAR_DIR move it. EMBEDDED_AWS=0 with an AWS profile or keys in the environment uses that account instead.
"""

import errno
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import boto3  # noqa: E402
import cdk_command  # noqa: E402
import site_settings  # noqa: E402
from aws_account import Failed, is_bootstrapped, own_account  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402
from own_processes import LEAVING_SECONDS, MIN_FREE_BYTES, Taken, bind_port, hold_folder, is_short_of_room, running  # noqa: E402
from pydantic import ValidationError  # noqa: E402
from site_settings import ACCOUNT, REGION, SettingsRefused  # noqa: E402

from assets.install.modes import ALL_BUT_OWNER, remove_rights  # noqa: E402
from control_plane.base.config import Config, describe_problems  # noqa: E402
from local_aws import backend  # noqa: E402
from local_aws.identity import CONTROL_PLANE_USER, control_plane_policy, create_identity, identity_works, renew_rights  # noqa: E402
from local_aws.parent import die_with  # noqa: E402
from local_aws.server import DIRECTLY, DidNotStart, EmbeddedAws  # noqa: E402
from stacks import bootstrap, env_file, names  # noqa: E402
from stacks.env_file import EnvFileError  # noqa: E402
from stacks.environment import EMBEDDED, NEUTRAL_SETTINGS, isolate_this_process, isolated_for_cdk  # noqa: E402

ADMINISTRATOR = "admin@example.org"
# As `manage.py demo` names it.
DEMO_BUCKET = "cohort-demo-traces"
STEPS = 7
READY_SECONDS = 60
# So often in a minute the embedded AWS is started again.
RESTARTS, RESTART_SECONDS = 3, 60.0
# With which a command of `manage.py` ends where it waits no longer, as `control_plane.base.terminal` has it.
EXIT_STILL_WAITING = 3
# What such a command says that a person has to do.
FOR_A_PERSON = ("an administrator decides at", "Earlier versions are kept")


class Stopped(Exception):
    """The process was asked to stop."""


class Site:
    """The site on this machine: its processes, and the settings that they share."""

    def __init__(self) -> None:
        self.port = site_settings.read_port("PORT", 8000)
        self.aws_port = site_settings.read_port("AWS_PORT", 4566)
        self.var = Path(os.environ.get("VAR_DIR", ROOT / "var")).resolve()
        self.kept = env_file.read(self.var / "env")
        self.is_embedded = os.environ.get(EMBEDDED, self.kept.get(EMBEDDED, "1")) != "0"
        site_settings.check_kept(self.kept, self.var / "env", is_embedded=self.is_embedded)
        self.request = site_settings.read_request(os.environ, self.kept, is_embedded=self.is_embedded)
        self.is_demonstrating = self.is_embedded and os.environ.get("DEMO", "1") != "0"
        self.url, self.endpoint = f"http://localhost:{self.port}", f"http://localhost:{self.aws_port}"
        self._aws: EmbeddedAws | None = None
        self._aws_starts = list[float]()
        self._is_short = False
        self._step_number = 0
        self._began = time.monotonic()

    def step(self, title: str) -> None:
        """Print the step that begins now, and the time so far."""
        self._step_number += 1
        print(f"[{self._step_number}/{STEPS}] {title} ({time.monotonic() - self._began:.0f} s)", flush=True)

    def run(self) -> None:
        """Start everything, report that it is ready, and watch it until it is stopped."""
        self._refuse_a_shared_folder()
        with ExitStack() as started:
            web_socket = self._hold_folder_and_ports(started)
            self._keep_private()
            self._drop_foreign_settings()
            if self.is_embedded:
                isolate_this_process()
            self.step("Starting the embedded AWS" if self.is_embedded else "Looking at the AWS account")
            if self._aws is not None:
                started.enter_context(self._aws)
            environment = self._environment()
            self.step("Preparing the database and the static files")
            # Before anything is changed on AWS: it refuses a database of another shape.
            self._manage(environment, "migrate", "--verbosity", "0")
            self._manage(environment, "collectstatic", "--noinput", "--verbosity", "0")
            self.step("Bootstrapping CDK")
            self._bootstrap(environment)
            self._make_administrator(environment)
            # Before anything is deployed: what waits for an administrator's approval is approved on its pages.
            self.step("Starting the web server")
            web = started.enter_context(running(self._gunicorn(web_socket), self.var / "web.log", environment, web_socket))
            self._wait_for_web(web)
            self.step("Starting the worker and deploying the platform")
            worker = started.enter_context(running([sys.executable, "manage.py", "worker"], self.var / "worker.log", environment))
            watched = {"worker": worker, "web server": web}
            # What would end earlier versions is confirmed by a person, who is told of it here.
            self._deploy(environment, worker, "platform", "sync", "--keep-earlier-versions")
            self.step("Making the demonstration data")
            if self.is_demonstrating:
                self._demonstrate(environment, worker)
                # Not watched: without it the example's jobs wait, and the site is none the worse.
                started.enter_context(self._backend())
            self.step("Everything runs")
            print(f"Ready: {self.url} (sign in as {ADMINISTRATOR}; the password is in {self._password_file()})", flush=True)
            self._watch(watched)

    def _refuse_a_shared_folder(self) -> None:
        shared = self.var in (Path("/"), Path.home().resolve()) or (self.var.exists() and self.var.stat().st_mode & stat.S_ISVTX)
        if shared:
            raise Failed(
                f"VAR_DIR is {self.var}, which holds more than a site. Nothing was changed; name a folder of its own: "
                f"`make up VAR_DIR={self.var / 'cohort'}`."
            )

    def _keep_private(self) -> None:
        """Make the folder, or close it to the machine's other users: database, mails, keys and the password lie there."""
        try:
            self.var.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.var.chmod(0o700)
            remove_rights(self.var, ALL_BUT_OWNER)
        except OSError as error:
            raise Failed(
                f"{error.filename or self.var} cannot be kept from other users of this machine ({error.strerror}). Nothing was "
                "started. Make it your own (chown), or choose another folder: `make up VAR_DIR=var2`."
            ) from error

    def _hold_folder_and_ports(self, started: ExitStack) -> socket.socket:
        """Hold the folder and the ports, and return the web server's. Raises Taken, Failed."""
        is_known = self.var.exists()
        if is_known:
            started.enter_context(hold_folder(self.var, self.url))
        # What a killed start left behind ends by itself within moments.
        patience = LEAVING_SECONDS if is_known else 0.0
        web_socket = started.enter_context(bind_port("PORT", self.port, patience))
        aws_socket = started.enter_context(bind_port("AWS_PORT", self.aws_port, patience)) if self.is_embedded else None
        if not is_known:
            started.enter_context(hold_folder(self.var, self.url))
        if is_short_of_room(self.var):
            raise Failed(
                f"The disk of {self.var} has less than {MIN_FREE_BYTES / 1e6:.0f} MB free. Nothing was started. Make room."
            )
        if aws_socket is not None:
            self._aws = EmbeddedAws(port=self.aws_port, state_dir=self.var / "aws", listener=aws_socket)
        return web_socket

    def _drop_foreign_settings(self) -> None:
        """Remove from this process what the shell may have set for other programs, and name it."""
        if self.request.left:
            print(
                f"Not taken from this shell, since other programs use such names too: {', '.join(self.request.left)}. "
                f"For this site, give it once as `make up {self.request.left[0]}=...`, or write it into {self.var / 'env'}.",
                flush=True,
            )
        taken_away = [name for name, value in self.request.given.items() if not value]
        for name in (*self.request.left, *taken_away):
            del os.environ[name]

    def _environment(self) -> dict[str, str]:
        """Update `$VAR_DIR/env`, for the commands and for the next start, and return the processes' environment."""
        settings = site_settings.merge_settings(self.kept, self.request.given, self.var, self.url)
        settings |= {"VAR_DIR": str(self.var), "DJANGO_SETTINGS_MODULE": "control_plane.settings"}
        if self.is_embedded:
            settings |= {EMBEDDED: "1", "COHORT_ACCOUNT": ACCOUNT, "COHORT_REGION": REGION}
            settings |= {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self.endpoint}
            settings |= self._identity(settings["BUCKET_PATTERNS"].split()) | NEUTRAL_SETTINGS
            isolate_this_process(settings)
        else:
            settings |= {name: os.environ[name] for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL") if name in os.environ}
            settings |= {EMBEDDED: "0", "COHORT_ACCOUNT": own_account(), "COHORT_REGION": settings.get("AWS_REGION", REGION)}
            os.environ.update(settings)
        try:
            Config()
        except ValidationError as error:
            raise Failed(
                f"The site cannot start, because of these settings:\n{describe_problems(error)}\nNothing was changed."
            ) from error
        _write_private(self.var / "env", site_settings.file_text(settings))
        return dict(os.environ)

    def _identity(self, patterns: Sequence[str]) -> dict[str, str]:
        """Return the key of the control plane's own IAM user on the embedded AWS: the last one if it still works, or a new one."""
        key_id, secret = self.kept.get("AWS_ACCESS_KEY_ID", ""), self.kept.get("AWS_SECRET_ACCESS_KEY", "")
        policy = control_plane_policy(ACCOUNT, REGION, patterns)
        if key_id and secret and identity_works(self.endpoint, REGION, key_id, secret):
            renew_rights(self.endpoint, ACCOUNT, REGION, CONTROL_PLANE_USER, policy)
        else:
            key_id, secret = create_identity(self.endpoint, ACCOUNT, REGION, CONTROL_PLANE_USER, policy)
        return {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}

    def _bootstrap(self, environment: Mapping[str, str]) -> None:
        """Deploy the boundaries, then run `cdk bootstrap` where the account has none yet: on the embedded AWS as its root."""
        account, region = environment["COHORT_ACCOUNT"], environment["COHORT_REGION"]
        if self.is_embedded:
            self._deploy_bootstrap(environment)
        if is_bootstrapped(environment, region):
            return
        root = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "root"} if self.is_embedded else {}
        # Without an app there is nothing to synthesise first, which saves starting one.
        command = [*cdk_command.command(), "--app", "", "bootstrap", f"aws://{account}/{region}"]
        command += ["--cloudformation-execution-policies", bootstrap.execution_arns(account, region)]
        log = self.var / "bootstrap.log"
        with log.open("w") as output:
            own = {**environment, **root}
            own = isolated_for_cdk(own, self.var / "home") if self.is_embedded else own
            done = subprocess.run(command, cwd=ROOT, env=own, stdout=output, stderr=output, check=False)
        if done.returncode:
            raise Failed(f"`cdk bootstrap` failed. The end of {log}:\n{_tail(log)}")

    def _deploy_bootstrap(self, environment: Mapping[str, str]) -> None:
        """Deploy Cohort-Bootstrap, as an administrator of a real account does: `python -m stacks.bootstrap deploy`."""
        root = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="root")  # noqa: S106 - ministack looks at no root secret
        try:
            bootstrap.deploy(
                root, environment["COHORT_REGION"], environment["BUCKET_PATTERNS"].split(), endpoint=environment["AWS_ENDPOINT_URL"]
            )
        except (bootstrap.BootstrapFailed, names.NameRefused) as error:
            raise Failed(
                f"{error}\nWhat {self.var} holds may be of an older version: move that folder away, or choose another "
                "(`make up VAR_DIR=var2`)."
            ) from error

    def _make_administrator(self, environment: Mapping[str, str]) -> None:
        path = self._password_file()
        if not path.exists():
            _write_private(path, os.environ.get("ADMIN_PASSWORD") or secrets.token_urlsafe(12))
        password = {"ADMIN_PASSWORD": path.read_text().strip()}
        self._manage({**environment, **password}, "administrator", "ensure", ADMINISTRATOR)

    def _deploy(self, environment: Mapping[str, str], worker: subprocess.Popen[bytes], *command: str) -> bool:
        """Have the worker deploy something. Returns False, and says so, where it waits for an approval, after which it goes on."""
        status = self._manage(environment, *command, "--wait", "--until-approval", needs=worker, other=EXIT_STILL_WAITING)
        for line in (self.var / "manage.log").read_text().splitlines():
            if any(words in line for words in FOR_A_PERSON):
                print(line, flush=True)
        return not status

    def _demonstrate(self, environment: Mapping[str, str], worker: subprocess.Popen[bytes]) -> None:
        if self._deploy(environment, worker, "demo", "ensure"):
            self._manage(environment, "demo", "samples")
        else:
            print("Once it is approved and made, `manage.py demo samples`, or the next start, puts recordings there.", flush=True)

    def _backend(self) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """Run the demonstration's back end."""
        command, environment = backend.start_command(self.endpoint, ACCOUNT, REGION, DEMO_BUCKET)
        return running(command, self.var / "backend.log", environment)

    def _password_file(self) -> Path:
        return self.var / "admin-password"

    def _manage(
        self, environment: Mapping[str, str], *arguments: str, needs: subprocess.Popen[bytes] | None = None, other: int = 0
    ) -> int:
        """Run a command, which ends with status 0 or `other`. One that waits for the worker (`needs`) ends with it.

        What fails while the disk is full is tried again once there is room.
        """
        log = self.var / "manage.log"
        while True:
            log.write_text("")
            with running([sys.executable, "manage.py", *arguments], log, environment) as process:
                while process.poll() is None:
                    if needs is not None and needs.poll() is not None:
                        raise Failed(f"The worker ended. The end of {self.var / 'worker.log'}:\n{_tail(self.var / 'worker.log')}")
                    self._check_aws_and_disk()
                    time.sleep(0.05)
            if process.returncode in (0, other):
                return process.returncode
            if not self._is_short:
                raise Failed(f"`manage.py {' '.join(arguments)}` failed:\n{_tail(log)}")
            while self._is_short:
                time.sleep(1)
                self._check_aws_and_disk()

    @staticmethod
    def _gunicorn(own: socket.socket) -> list[str]:
        bind = ["--bind", f"fd://{own.fileno()}"]
        served = [sys.executable, "-m", "gunicorn", "control_plane.wsgi", *bind]
        return [*served, "--workers", "2", "--threads", "4", "--no-control-socket"]

    def _wait_for_web(self, web: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if web.poll() is not None:
                raise Failed(f"The web server ended. The end of {self.var / 'web.log'}:\n{_tail(self.var / 'web.log')}")
            try:
                with DIRECTLY.open(f"{self.url}/accounts/login/", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        raise Failed(f"The web server did not answer within {READY_SECONDS} s. See {self.var / 'web.log'}.")

    def _watch(self, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
        while True:
            for name, process in processes.items():
                if process.poll() is not None:
                    raise Failed(f"The {name} ended by itself (status {process.returncode}). Its log is under {self.var}.")
            self._check_aws_and_disk()
            time.sleep(0.5)

    def _check_aws_and_disk(self) -> None:
        """Restart the embedded AWS if it ended, and report a full disk. Raises Failed, DidNotStart."""
        is_short = is_short_of_room(self.var)
        if is_short != self._is_short:
            self._is_short = is_short
            has = "has less than" if is_short else "has again more than"
            then = "Until there is more, what has to be written waits or fails, and is tried again by itself." if is_short else ""
            print(f"The disk of {self.var} {has} {MIN_FREE_BYTES / 1e6:.0f} MB free. {then}".rstrip(), flush=True)
        if self._aws is None or self._aws.is_alive:
            return
        now = time.monotonic()
        self._aws_starts = [*(start for start in self._aws_starts if now - start < RESTART_SECONDS), now]
        if len(self._aws_starts) > RESTARTS:
            raise Failed(f"The embedded AWS ended {len(self._aws_starts)} times in a minute. Its log: {self._aws.log_path}")
        print(
            f"The embedded AWS ended by itself, and is started again with what it had saved. Its log: {self._aws.log_path}",
            flush=True,
        )
        self._aws.start()


def _write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read, whole or not at all."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.chmod(0o600)
    new.write_text(text)
    new.replace(path)


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _stop(number: int, frame: FrameType | None) -> None:
    # A second Ctrl-C must not interrupt the stopping, which would leave processes behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Stopped


def main() -> None:
    """Run until stopped; end with a message instead of a stack trace."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    # What is made from now on, by what is started too, is its owner's alone.
    os.umask(0o077)
    if "MAKELEVEL" in os.environ:
        die_with(os.getppid())
    try:
        Site().run()
    except Stopped:
        print("\nStopped.", flush=True)
    except (DidNotStart, EnvFileError, Failed, SettingsRefused, Taken) as error:
        sys.exit(f"\n{error}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"\nAWS could not be asked: {error}. What was started is stopped. Run `make up` again.")
    except OSError as error:
        room = " Make room on the disk, and run `make up` again." if error.errno == errno.ENOSPC else ""
        sys.exit(f"\n{error.filename or 'A file'} could not be used ({error.strerror}). What was started is stopped.{room}")


if __name__ == "__main__":
    main()
