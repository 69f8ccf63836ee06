"""`manage.py doctor`: mail, and what the host alone can tell."""

import json
import shutil
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from control_plane.base.config import Config
from control_plane.doctor.findings import State
from tests.control_plane.doctor_context import Answer, all_of, context, findings, one
from tests.factories import WorkerFactory

KEY = "k" * 50
PASSWORD = "correct-horse"


def secret(**held: str) -> dict[str, Answer]:
    return {"GetSecretValue": {"SecretString": json.dumps(held)}}


@pytest.mark.parametrize(
    ("answers", "state", "word"),
    [
        (secret(SECRET_KEY=KEY, EMAIL_URL=f"smtp://cohort:{PASSWORD}@mail.example.org:587"), State.OK, "has an EMAIL_URL"),
        (secret(SECRET_KEY=KEY), State.TO_DO, "no EMAIL_URL"),
        (secret(SECRET_KEY=KEY, EMAIL_URL=""), State.TO_DO, "no EMAIL_URL"),
        (secret(SECRET_KEY=KEY, EMAIL_URL=f"smtp://cohort:{PASSWORD}@mail.example.org/x"), State.TO_DO, "cannot be used"),
        ({"GetSecretValue": {"SecretString": f"SECRET_KEY={KEY}"}}, State.TO_DO, "no JSON object"),
        ({"GetSecretValue": "ResourceNotFoundException: no"}, State.NOT_YET, "is not there yet"),
        ({"GetSecretValue": "AccessDeniedException: no"}, State.UNKNOWN, "GetSecretValue"),
    ],
)
def test_the_secret_has_to_name_a_mail_server_and_no_value_of_it_is_told(answers: Any, state: State, word: str) -> None:
    found = one("mail", context(answers))
    assert found.state is state
    assert word in found.seen
    for hidden in (KEY, PASSWORD, "mail.example.org/x"):
        assert hidden not in found.seen + found.advice


def test_a_secret_without_its_signing_key_is_said() -> None:
    assert ("to do", "cohort-host/settings has no SECRET_KEY") in all_of(
        "mail", context(secret(EMAIL_URL="smtp://mail.example.org"))
    )


class _MailServer(socketserver.ThreadingTCPServer):
    """A mail server that offers no TLS, and notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        super().__init__(("127.0.0.1", 0), _Conversation)


class _Conversation(socketserver.StreamRequestHandler):
    server: _MailServer

    def handle(self) -> None:
        heard = self.server.heard
        self.wfile.write(b"220 mail.example.org ESMTP\r\n")
        for line in self.rfile:
            heard.append(line.decode().split()[0].upper())
            self.wfile.write(b"221 bye\r\n" if heard[-1] == "QUIT" else b"250-mail.example.org\r\n250 AUTH PLAIN\r\n")


@contextmanager
def mail_server() -> Iterator[tuple[int, list[str]]]:
    with _MailServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], server.heard
        server.shutdown()


def with_mail(url: str) -> Any:
    return context(settings=Config(email_url=url))


def test_a_mail_server_is_greeted_and_nothing_is_sent() -> None:
    with mail_server() as (port, heard):
        found = one("mail-server", with_mail(f"smtp://cohort:{PASSWORD}@127.0.0.1:{port}"))
    assert found.state is State.OK
    assert "notify test" in found.seen
    assert set(heard) == {"EHLO", "QUIT"}


def test_a_password_is_not_sent_where_there_is_no_tls() -> None:
    with mail_server() as (port, heard):
        found = one("mail-server", with_mail(f"smtp://cohort:{PASSWORD}@127.0.0.1:{port}?tls=true"))
    assert (found.state, "TLS" in found.seen) == (State.TO_DO, True)
    assert "AUTH" not in heard


def test_a_mail_server_that_does_not_answer_is_said_without_the_password() -> None:
    with mail_server() as (port, _):
        pass
    found = one("mail-server", with_mail(f"smtp://cohort:{PASSWORD}@127.0.0.1:{port}"))
    assert found.state is State.TO_DO
    assert f"127.0.0.1:{port} does not answer" in found.seen
    assert PASSWORD not in found.seen


def test_mail_that_goes_to_the_terminal_reaches_nobody() -> None:
    assert "the terminal" in one("mail-server", with_mail("console:")).seen
    assert "a folder" in one("mail-server", with_mail("file:///var/mail")).seen


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("percent", "states"), [(10, ["ok", "ok"]), (85, ["to do", "to do"])])
def test_a_disk_that_is_nearly_full_is_said(monkeypatch: pytest.MonkeyPatch, percent: int, states: list[str]) -> None:
    size = 10 * 10**9
    usage = Usage(size, size * percent // 100, size - size * percent // 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    found = all_of("disk", context(settings=Config(var_dir=Path("/var/lib/cohort"))))
    assert [state for state, _ in found] == states
    assert [seen.split(":")[0] for _, seen in found] == ["/var/lib/cohort", "/"]


@pytest.mark.django_db
def test_a_worker_that_lives_is_seen_and_one_that_does_not_is_said() -> None:
    place = context(settings=Config())
    found = one("worker", place)
    assert found.state is State.TO_DO
    assert "No worker" in found.seen
    WorkerFactory.create()
    assert one("worker", place).state is State.OK


@pytest.mark.django_db
def test_without_a_backup_one_is_to_be_made(settings: Any) -> None:
    assert one("backup", context(settings=Config())).advice == "sudo cohort backup create"


@pytest.mark.parametrize("name", ["disk", "worker", "mail-server", "backup"])
def test_without_settings_the_host_is_where_to_look(name: str) -> None:
    (found,) = findings(name, context())
    assert (found.state, found.step) == (State.NOT_YET, 5)
    assert "sudo cohort doctor" in found.advice
