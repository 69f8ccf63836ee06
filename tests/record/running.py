"""A site in this process: a database of its own, an AWS of moto's, a deployer that is told how to end, and a queue worked off."""

import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from django.apps import apps
from django.core import mail
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import F
from django.test import Client
from django_tasks_db.models import DBTaskResult
from moto import mock_aws

from tests.control_plane.fakes import FakeAws, as_wanted, holding, reconcile_all
from tests.record import product

PASSWORD = "a long enough password"
SECRET = "whsec_" + "c2VjcmV0IGJ5dGVz" * 2
MAX_TASKS = 500
LACKING: dict[str, Any] = {"DescribeAccountLimits": {"AccountLimits": [{"Name": "StackLimit", "Value": 2000}]}}


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    status: int
    out: str
    error: str = ""


@dataclass
class Site:
    """What a story needs. `outcome` is what CloudFormation is found in after a deployment."""

    outcome: Callable[[str], Any] = as_wanted
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    folder: Path | None = None
    # Each task that was done, with the arguments that it was last given, by its path.
    done: dict[str, tuple[Any, dict[str, Any]]] = field(default_factory=dict)
    _aws: FakeAws = field(default_factory=FakeAws)

    def run(self, line: str) -> Ran:
        """Run a command as at the terminal."""
        name, *words = shlex.split(line)
        out, error, status = StringIO(), StringIO(), 0
        try:
            call_command(name, *words, stdout=out, stderr=error)
        except CommandError as refusal:
            status, error = refusal.returncode, StringIO(str(refusal))
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        return Ran(status, out.getvalue(), error.getvalue())

    def must(self, line: str) -> Ran:
        """Run a command that has to do what it is asked for."""
        ran = self.run(line)
        assert ran.status == 0, f"{line}: {ran.error or ran.out}"
        return ran

    def deploy(self) -> None:
        """Deploy all that waits, then do all tasks."""
        with pytest.MonkeyPatch.context() as patched:
            self._aws.outcome = self.outcome
            self._aws.install(patched)
            reconcile_all(self._aws)
        # IAM has settled since: nobody waits for what moto does not have.
        moments = ("created_at", "started_at", "finished_at")
        model("deployments.Deployment").objects.update(**{name: F(name) - timedelta(minutes=2) for name in moments})
        self.work()

    def fail(self) -> None:
        """Deploy all that waits, which CloudFormation takes back."""
        self.outcome = lambda name: holding(0, "ROLLBACK_COMPLETE")
        self.deploy()
        self.outcome = as_wanted

    def work(self) -> None:
        """Do the tasks of the queue until none is left."""
        for _ in range(MAX_TASKS):
            row = DBTaskResult.objects.ready().first()
            if row is None:
                return
            task, given = row.task, row.args_kwargs
            row.delete()
            self.done[task.module_path] = (task, given)
            task.call(*given["args"], **given["kwargs"])
        raise AssertionError("the queue does not end")

    def mails(self) -> list[EmailMessage]:
        """Work the queue off, and take the e-mails that arrived since."""
        self.work()
        arrived, mail.outbox[:] = list(mail.outbox), []
        return arrived

    def sweep(self) -> list[EmailMessage]:
        """Take the periodic steps once, and return the e-mails that came of them."""
        self.must("sweep")
        return self.mails()


def model(label: str) -> Any:
    """A model by its label, which stays when its module moves."""
    return apps.get_model(label)


def browser(email: str) -> Client:
    """A browser in which this person is signed in, and gave the password a moment ago."""
    client, user = Client(), model("accounts.User").objects.get(email=email)
    client.force_login(user)
    session = client.session
    session["account_authentication_methods_user"] = str(user.pk)
    session["account_authentication_methods"] = [{"method": "password", "at": time.time(), "reauthenticated": True}]
    session.save()
    # Nobody is told to come back in a few minutes.
    cache.clear()
    return client


@contextmanager
def fresh_site(pristine: Path) -> Iterator[Site]:
    """A site with nothing in it, on the copy of an empty database."""
    _put_in_place(pristine)
    site = Site()
    with mock_aws(), _what_moto_lacks(), pytest.MonkeyPatch.context() as patched, _receiver(site) as port:
        patched.setenv("WEBHOOK_URL", f"http://127.0.0.1:{port}/hook")
        patched.setenv("WEBHOOK_SECRET", SECRET)
        product.free_every_bucket_name(patched)
        product.imitate_cloudformation(patched)
        product.forget_settings()
        product.forget_sessions()
        mail.outbox = []
        yield site
    product.forget_sessions()
    product.forget_settings()


@contextmanager
def _what_moto_lacks() -> Iterator[None]:
    """Answers of AWS to what moto does not know; whatever else it does not know is refused, as for want of a right."""
    # botocore's types leave out what is its own.
    client_class: Any = BaseClient
    call = client_class._make_api_call

    def answer(client: Any, operation: str, given: dict[str, Any]) -> Any:
        if operation in LACKING:
            return LACKING[operation]
        try:
            return call(client, operation, given)
        except NotImplementedError as error:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "moto does not know it"}}, operation) from error

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", answer)
        yield


@contextmanager
def settings(**values: str) -> Iterator[None]:
    """Other settings for a while."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in values.items():
            patched.setenv(name, value)
        product.forget_settings()
        yield
    product.forget_settings()


def make_pristine() -> Path:
    """Make the test database, and keep an empty copy of it."""
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    here = Path(connection.settings_dict["NAME"])
    connection.close()
    pristine = here.with_suffix(".pristine")
    shutil.copy(here, pristine)
    return pristine


def _put_in_place(pristine: Path) -> None:
    connection.close()
    here = Path(connection.settings_dict["NAME"])
    for ending in ("", "-wal", "-shm"):
        Path(f"{here}{ending}").unlink(missing_ok=True)
    shutil.copy(pristine, here)


@contextmanager
def _receiver(site: Site) -> Iterator[int]:
    """Something on this machine that takes every webhook."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            site.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def prepare_environment() -> None:
    """What a terminal tells programs, fixed: who types, how wide it is, and how it is coloured."""
    os.environ |= {"LOGNAME": "operator", "COLUMNS": "100", "NO_COLOR": "1"}
