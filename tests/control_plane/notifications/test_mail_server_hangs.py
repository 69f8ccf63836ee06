"""A mail server, or a receiver of the webhook, that hangs: it holds up messages alone, and each for no longer than a limit."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.core.mail import get_connection
from django.test import Client, override_settings
from django_tasks import task
from django_tasks_db.models import DBTaskResult

from control_plane.base.config import config
from control_plane.base.email_url import parse_email_url
from control_plane.doctor.mail import _greet
from control_plane.notifications import channels, smtp
from control_plane.notifications.channels import NotDelivered, send_email, send_webhook
from control_plane.notifications.models import Notice
from control_plane.notifications.outbox import put_account_mail
from control_plane.worker.loop import Worker
from tests.control_plane.account_pages import signed_in
from tests.control_plane.accounts.test_sign_up import sign_up
from tests.control_plane.slow_servers import SilentServer, dripping_server, silent_server
from tests.factories import PASSWORD, PasswordUserFactory

# A limit that is over well before the dripping ends.
LIMIT = 0.5
TAKEN = [b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n", b"250 taken\r\n", b"221 bye\r\n"]
# The head of a TLS record that holds far more than ever comes.
ENDLESS_RECORD = b"\x16\x03\x03\x3f\xff"


@pytest.fixture
def hanging() -> Iterator[SilentServer]:
    """The site's mail server, which takes connections and says nothing."""
    with silent_server() as server, override_settings(**parse_email_url(f"smtp://127.0.0.1:{server.port}")):
        yield server


@pytest.fixture(autouse=True)
def _configuration() -> Iterator[None]:
    yield
    config.cache_clear()


def change_address(client: Client) -> Any:
    return signed_in("ada@example.org").post("/accounts/email/", {"email": "new@example.org", "action_add": ""})


def change_password(client: Client) -> Any:
    form = {"oldpassword": PASSWORD, "password1": "another long enough one", "password2": "another long enough one"}
    return signed_in("ada@example.org").post("/accounts/password/change/", form)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "ask",
    [
        sign_up,
        lambda client: client.post("/accounts/password/reset/", {"email": "ada@example.org"}),
        lambda client: client.post("/accounts/password/reset/", {"email": "nobody@example.org"}),
        change_address,
        change_password,
    ],
)
def test_no_request_asks_the_mail_server_so_none_waits_for_one_that_hangs(
    ask: Callable[[Client], Any], hanging: SilentServer
) -> None:
    PasswordUserFactory.create()
    cache.clear()
    assert ask(Client()).status_code == 302
    assert not hanging.was_asked
    notice = Notice.objects.latest("pk")
    assert (notice.event, notice.sent_at) == ("account", None)
    assert Client().get("/accounts/login/").status_code == 200


@task()
def _something_else() -> None:
    """Any other work of a worker's."""


@pytest.mark.django_db(transaction=True)
def test_a_mail_server_that_hangs_stops_none_of_a_worker_s_other_tasks(hanging: SilentServer) -> None:
    notice = put_account_mail(recipient="ada@example.org", subject="Hello", body="A link")
    other = _something_else.enqueue()
    worker = Worker("host:1")
    *others, messages = worker._tasks
    for item in others:
        worker._do_tasks(item, once=True)
    assert DBTaskResult.objects.get(pk=other.id).status == "SUCCESSFUL"
    notice.refresh_from_db()
    assert (hanging.was_asked, notice.attempts) == (False, 0), "messages have a thread of their own"

    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        worker._do_tasks(messages, once=True)
    notice.refresh_from_db()
    assert notice.sent_at is not None


@pytest.mark.parametrize(
    ("url", "first", "drips", "then"),
    [
        pytest.param("smtp://127.0.0.1:{}", [], b"220-wait\r\n", [b"220 there\r\n", *TAKEN], id="greeting"),
        pytest.param("smtp://127.0.0.1:{}", [b"220 there\r\n"], b"250-wait\r\n", TAKEN, id="capabilities"),
        pytest.param(
            "smtp://127.0.0.1:{}?tls=true",
            [b"220 there\r\n", b"250-there\r\n250 STARTTLS\r\n", b"220 go on\r\n"],
            ENDLESS_RECORD,
            [],
            id="handshake",
        ),
        pytest.param("smtps://127.0.0.1:{}", [], ENDLESS_RECORD, [], id="handshake from the start"),
    ],
)
def test_a_mail_server_that_sends_a_byte_now_and_then_has_one_limit_for_all_of_it(
    url: str, first: list[bytes], drips: bytes, then: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "EXCHANGE_SECONDS", LIMIT)
    with (
        dripping_server(first=first, drips=drips, then=then) as port,
        override_settings(**parse_email_url(url.format(port))),
        pytest.raises(NotDelivered, match=r"it took more than 0\.5 s in all"),
    ):
        send_email(recipient="ada@example.org", subject="Hello", body="A link", message_id="notice_1")


def test_a_mail_server_that_answers_takes_mail_within_the_limit() -> None:
    answers = [b"220 there\r\n", *TAKEN]
    with (
        dripping_server(first=answers, drips=b" ", then=[]) as port,
        override_settings(**parse_email_url(f"smtp://127.0.0.1:{port}")),
    ):
        assert get_connection().__class__ is smtp.EmailBackend
        send_email(recipient="ada@example.org", subject="Hello", body="A link", message_id="notice_1")


@pytest.mark.parametrize("first", [[], [b"HTTP/1.1 200 fine\r\n"]], ids=["status", "headers"])
def test_a_receiver_of_the_webhook_that_sends_a_byte_now_and_then_has_one_limit_too(
    monkeypatch: pytest.MonkeyPatch, first: list[bytes]
) -> None:
    monkeypatch.setattr(channels, "WEBHOOK_TIMEOUT_SECONDS", LIMIT)
    monkeypatch.setenv("WEBHOOK_SECRET", "whsec_" + "c2VjcmV0IGJ5dGVz" * 2)
    drips = b"a: b\r\n" * 1000 if first else b"HTTP/1.1 200 fine\r\n" + b"a: b\r\n" * 1000
    with dripping_server(first=first, drips=drips, then=[b"\r\n\r\n"]) as port:
        monkeypatch.setenv("WEBHOOK_URL", f"http://127.0.0.1:{port}/hook")
        config.cache_clear()
        with pytest.raises(NotDelivered, match=r"it took more than 0\.5 s in all"):
            send_webhook({"id": "notice_1", "type": "test"})


def test_the_doctor_waits_for_no_mail_server_longer_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control_plane.doctor.mail.EXCHANGE_SECONDS", LIMIT)
    with dripping_server(first=[], drips=b"220-wait\r\n", then=[b"220 there\r\n", b"250 ok\r\n", b"221 bye\r\n"]) as port:
        settings = parse_email_url(f"smtp://127.0.0.1:{port}")
        with pytest.raises(TimeoutError, match="more than"):
            _greet("127.0.0.1", port, settings)
