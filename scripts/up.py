"""Serve the whole product on this machine until stopped: AWS, database, worker and web. `make up` runs it.

PORT, AWS_PORT and VAR_DIR move it. EMBEDDED_AWS=0 with an AWS profile or keys in the environment uses that account instead.
"""

import hashlib
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import boto3  # noqa: E402
from botocore.exceptions import BotoCoreError, ClientError  # noqa: E402
from dotenv import dotenv_values  # noqa: E402

from assets.install.modes import ALL_BUT_OWNER, take_away  # noqa: E402
from local_aws import backend  # noqa: E402
from local_aws.identity import CONTROL_PLANE_USER, control_plane_policy, create_identity, identity_works, renew_rights  # noqa: E402
from local_aws.server import EmbeddedAws  # noqa: E402
from stacks import bootstrap, names  # noqa: E402
from stacks.host_policies import DEFAULT_PATTERNS  # noqa: E402

ACCOUNT = "111122223333"
REGION = "us-east-1"
ADMINISTRATOR = "admin@example.org"
# As `manage.py demo` names it.
DEMO_BUCKET = "cohort-demo-traces"
STEPS = 7
READY_SECONDS = 60
STOP_SECONDS = 30


class Stopped(Exception):
    """Somebody asked us to stop."""


class Failed(RuntimeError):
    """A step failed. The message says which, why, and what to do."""


class Site:
    """What is started on this machine, and the settings that all of it shares."""

    def __init__(self) -> None:
        self.port = _port("PORT", 8000)
        self.aws_port = _port("AWS_PORT", 4566)
        self.var = Path(os.environ.get("VAR_DIR", ROOT / "var")).resolve()
        self.is_embedded = os.environ.get("EMBEDDED_AWS", "1") != "0"
        self.is_demonstrating = self.is_embedded and os.environ.get("DEMO", "1") != "0"
        self.url = f"http://localhost:{self.port}"
        self._step_number = 0
        self._began = time.monotonic()

    def step(self, title: str) -> None:
        """Tell what is being done now, and how long it has taken so far."""
        self._step_number += 1
        print(f"[{self._step_number}/{STEPS}] {title} ({time.monotonic() - self._began:.0f} s)", flush=True)

    def run(self) -> None:
        """Start everything, say that it is ready, and watch it until somebody stops it."""
        for name, port in (("PORT", self.port), ("AWS_PORT", self.aws_port))[: 2 if self.is_embedded else 1]:
            _check_free(name, port)
        self._keep_private()
        with ExitStack() as started:
            self.step("Starting the embedded AWS" if self.is_embedded else "Looking at the AWS account")
            if self.is_embedded:
                started.enter_context(EmbeddedAws(port=self.aws_port, state_dir=self.var / "aws"))
            settings = self._settings()
            environment = {**self._inherited(), **settings}
            self._check_schema()
            self.step("Bootstrapping CDK")
            self._bootstrap(environment)
            self.step("Preparing the database and the static files")
            self._manage(environment, "migrate", "--verbosity", "0")
            self._schema_file().write_text(_schema())
            self._manage(environment, "collectstatic", "--noinput", "--verbosity", "0")
            self.step("Starting the worker and deploying the platform")
            worker = started.enter_context(self._serving("worker", [sys.executable, "manage.py", "worker"], environment))
            self._manage(environment, "platform", "sync", "--wait", needs=worker)
            self.step("Making the first administrator and the demonstration data")
            self._people(environment, worker)
            watched = {"worker": worker}
            if self.is_demonstrating:
                # Not watched: without it the example's jobs wait, and the site is none the worse.
                started.enter_context(self._backend())
            self.step("Starting the web server")
            watched["web server"] = started.enter_context(self._serving("web", self._gunicorn(), environment))
            self._wait_for_web(watched["web server"])
            self.step("Everything runs")
            print(f"Ready: {self.url} (sign in as {ADMINISTRATOR}; the password is in {self._password_file()})", flush=True)
            self._watch(watched)

    def _keep_private(self) -> None:
        """Make the folder, or take what lies there from the machine's other users: database, mails, keys and the password."""
        shared = self.var in (Path("/"), Path.home().resolve()) or (self.var.exists() and self.var.stat().st_mode & stat.S_ISVTX)
        if shared:
            raise Failed(
                f"VAR_DIR is {self.var}, which holds more than a site. Nothing was changed; name a folder of its own: "
                f"`make up VAR_DIR={self.var / 'cohort'}`."
            )
        try:
            self.var.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.var.chmod(0o700)
            take_away(self.var, ALL_BUT_OWNER)
        except OSError as error:
            raise Failed(
                f"{error.filename or self.var} cannot be kept from other users of this machine ({error.strerror}). Nothing was "
                "started. Make it your own (chown), or choose another folder: `make up VAR_DIR=var2`."
            ) from error

    def _settings(self) -> dict[str, str]:
        """Read `$VAR_DIR/env`, bring it up to date, and write it for the commands and for the next start."""
        path = self.var / "env"
        kept = {name: value for name, value in dotenv_values(path).items() if value is not None} if path.exists() else {}
        settings = {
            "SECRET_KEY": kept.get("SECRET_KEY") or secrets.token_urlsafe(48),
            "SITE_URL": self.url,
            "SECURE_COOKIES": "false",
            "VAR_DIR": str(self.var),
            "BUCKET_PATTERNS": " ".join(self._patterns()),
            "COHORT_MANIFEST_STORE": str(self.var / "manifests"),
            "EMAIL_URL": os.environ.get("EMAIL_URL") or (self.var / "mail").as_uri(),
            "COHORT_REGION": REGION if self.is_embedded else os.environ.get("AWS_REGION", REGION),
        }
        if self.is_embedded:
            settings |= {"COHORT_ACCOUNT": ACCOUNT, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
            settings |= {"AWS_ENDPOINT_URL": f"http://localhost:{self.aws_port}"}
            settings |= self._identity(kept)
        else:
            settings |= {"COHORT_ACCOUNT": _own_account()}
            settings |= {name: os.environ[name] for name in ("AWS_PROFILE", "AWS_REGION") if name in os.environ}
        _write_private(path, "".join(f"export {name}='{value}'\n" for name, value in settings.items()))
        return settings

    def _inherited(self) -> dict[str, str]:
        """The environment without what would send the embedded AWS's commands to somebody's real account."""
        if not self.is_embedded:
            return dict(os.environ)
        kept = ("AWS_CA_BUNDLE",)
        return {name: value for name, value in os.environ.items() if not name.startswith("AWS_") or name in kept}

    def _identity(self, kept: Mapping[str, str]) -> dict[str, str]:
        """The control plane's own IAM user on the embedded AWS: the key of the last start if it still works, else a new one."""
        endpoint = f"http://localhost:{self.aws_port}"
        key_id, secret = kept.get("AWS_ACCESS_KEY_ID", ""), kept.get("AWS_SECRET_ACCESS_KEY", "")
        policy = control_plane_policy(ACCOUNT, REGION, self._patterns())
        if key_id and secret and identity_works(endpoint, REGION, key_id, secret):
            renew_rights(endpoint, ACCOUNT, REGION, CONTROL_PLANE_USER, policy)
        else:
            key_id, secret = create_identity(endpoint, ACCOUNT, REGION, CONTROL_PLANE_USER, policy)
        return {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret}

    def _bootstrap(self, environment: Mapping[str, str]) -> None:
        """Deploy the boundaries, then run `cdk bootstrap` where the account has none yet: on the embedded AWS as its root."""
        account, region = environment["COHORT_ACCOUNT"], environment["COHORT_REGION"]
        if self.is_embedded:
            self._bound(environment)
        if _is_bootstrapped(environment, region):
            return
        root = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "root"} if self.is_embedded else {}
        # Without an app there is nothing to synthesise first, which saves starting one.
        command = [str(ROOT / ".venv/bin/cdk"), "--app", "", "bootstrap", f"aws://{account}/{region}"]
        command += ["--cloudformation-execution-policies", bootstrap.execution_arns(account, region)]
        log = self.var / "bootstrap.log"
        with log.open("w") as output:
            done = subprocess.run(command, cwd=ROOT, env={**environment, **root}, stdout=output, stderr=output, check=False)
        if done.returncode:
            raise Failed(f"`cdk bootstrap` failed. The end of {log}:\n{_tail(log)}")

    def _bound(self, environment: Mapping[str, str]) -> None:
        """Cohort-Bootstrap, as an administrator of a real account deploys it: `python -m stacks.bootstrap deploy`."""
        root = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="root")  # noqa: S106 - ministack looks at no root secret
        try:
            bootstrap.deploy(root, environment["COHORT_REGION"], self._patterns(), endpoint=environment["AWS_ENDPOINT_URL"])
        except (bootstrap.BootstrapFailed, names.NameRefused) as error:
            raise Failed(
                f"{error}\nWhat {self.var} holds may be of an older version: move that folder away, or choose another "
                "(`make up VAR_DIR=var2`)."
            ) from error

    @staticmethod
    def _patterns() -> list[str]:
        """Names of the buckets that groups can ever reach, for the boundary and the control plane alike."""
        return os.environ.get("BUCKET_PATTERNS", "").split() or list(DEFAULT_PATTERNS)

    def _people(self, environment: Mapping[str, str], worker: subprocess.Popen[bytes]) -> None:
        path = self._password_file()
        if not path.exists():
            _write_private(path, os.environ.get("ADMIN_PASSWORD") or secrets.token_urlsafe(12))
        password = {"ADMIN_PASSWORD": path.read_text().strip()}
        self._manage({**environment, **password}, "administrator", "ensure", ADMINISTRATOR)
        if self.is_demonstrating:
            self._manage(environment, "demo", "ensure", "--wait", needs=worker)
            self._manage(environment, "demo", "samples")

    def _backend(self) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """What runs the demonstration's jobs."""
        command, environment = backend.how_to_start(f"http://localhost:{self.aws_port}", ACCOUNT, REGION, DEMO_BUCKET)
        return self._serving("backend", command, environment)

    def _check_schema(self) -> None:
        """Refuse a database of an older checkout: until the first release its tables are made anew, never altered."""
        known = self._schema_file()
        if (self.var / "cohort.sqlite3").exists() and (not known.exists() or known.read_text() != _schema()):
            raise Failed(
                f"The database in {self.var} was made by another version, from before the first release. Nothing was changed. "
                "Move that folder away, or choose another: `make up VAR_DIR=var2`."
            )

    def _schema_file(self) -> Path:
        return self.var / "schema"

    def _password_file(self) -> Path:
        return self.var / "admin-password"

    def _manage(self, environment: Mapping[str, str], *arguments: str, needs: subprocess.Popen[bytes] | None = None) -> None:
        """Run a command. One that waits for the worker (`needs`) waits no longer than the worker lives."""
        log = self.var / "manage.log"
        with log.open("w") as output:
            command = [sys.executable, "manage.py", *arguments]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True)
            try:
                while process.poll() is None:
                    if needs is not None and needs.poll() is not None:
                        raise Failed(f"The worker ended. The end of {self.var / 'worker.log'}:\n{_tail(self.var / 'worker.log')}")
                    time.sleep(0.05)
            finally:
                _end(process)
        if process.returncode:
            raise Failed(f"`manage.py {' '.join(arguments)}` failed:\n{_tail(log)}")

    def _gunicorn(self) -> list[str]:
        bind = ["--bind", f"127.0.0.1:{self.port}"]
        return [
            sys.executable,
            "-m",
            "gunicorn",
            "control_plane.wsgi",
            *bind,
            "--workers",
            "2",
            "--threads",
            "4",
            "--no-control-socket",
        ]

    @contextmanager
    def _serving(self, name: str, command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        """A process of ours, in a session of its own so that Ctrl-C reaches us first; ended with all its children."""
        log = self.var / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        try:
            yield process
        finally:
            _end(process)

    def _wait_for_web(self, web: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if web.poll() is not None:
                raise Failed(f"The web server ended. The end of {self.var / 'web.log'}:\n{_tail(self.var / 'web.log')}")
            try:
                with urllib.request.urlopen(f"{self.url}/accounts/login/", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        raise Failed(f"The web server did not answer within {READY_SECONDS} s. See {self.var / 'web.log'}.")

    def _watch(self, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
        while True:
            for name, process in processes.items():
                if process.poll() is not None:
                    raise Failed(f"The {name} ended by itself (status {process.returncode}). Its log is under {self.var}.")
            time.sleep(0.5)


def _schema() -> str:
    """Tells apart the tables of one version from those of another."""
    digest = hashlib.sha256()
    for path in sorted(ROOT.glob("*/*/migrations/0*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _port(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Failed(f"{name} must be a port number between 1 and 65535; it is {text!r}.")
    return int(text)


def _check_free(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Failed(
                f"Port {port} is in use or not allowed ({error.strerror}). Nothing was started. "
                f"Stop what uses it, or choose another: `make up {name}={port + 1}`."
            ) from error


def _is_bootstrapped(environment: Mapping[str, str], region: str) -> bool:
    session = boto3.Session(
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environment.get("AWS_SESSION_TOKEN"),
        profile_name=environment.get("AWS_PROFILE"),
        region_name=region,
    )
    ssm = session.client("ssm", endpoint_url=environment.get("AWS_ENDPOINT_URL"))
    try:
        ssm.get_parameter(Name=names.cdk_version_parameter())
    except ssm.exceptions.ParameterNotFound:
        return False
    except (BotoCoreError, ClientError) as error:
        raise Failed(f"AWS does not say whether CDK was bootstrapped: {error}. Nothing was changed.") from error
    return True


def _own_account() -> str:
    try:
        return str(boto3.client("sts").get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise Failed(f"AWS does not tell who we are: {error}. Nothing was changed; check AWS_PROFILE and AWS_REGION.") from error


def _write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read, whole or not at all."""
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.chmod(0o600)
    new.write_text(text)
    new.replace(path)


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to stop; after a while, end it and whatever it left behind."""
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
    try:
        Site().run()
    except Stopped:
        print("\nStopped.", flush=True)
    except Failed as error:
        sys.exit(f"\n{error}")


if __name__ == "__main__":
    main()
