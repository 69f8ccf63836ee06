"""E-mails about accounts: they wait in the outbox, sealed, and the page says of one that was asked for one thing at a time."""

from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.db import connection
from django.test import Client, override_settings
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from control_plane.base.audit.models import AuditEvent
from control_plane.notifications.delivery import deliver
from control_plane.notifications.models import MAX_TRIES, Notice
from control_plane.notifications.outbox import deliver_due
from control_plane.notifications.tasks import MESSAGES
from tests.control_plane.account_pages import Answer, delivered, link_in_mail, signed_in, text_of
from tests.control_plane.accounts.test_sign_up import sign_up
from tests.factories import PASSWORD, PasswordUserFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_once")]

SENDING, SENT, FAILED = "We are sending a message", "was sent to", "could not be sent"


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A mail server that is away, until it is undone."""

    def refuse(message: EmailMessage, fail_silently: bool = False) -> int:
        raise ConnectionRefusedError("connection refused by mail.example.org")

    monkeypatch.setattr(EmailMessage, "send", refuse)
    return monkeypatch


def reset(client: Client, email: str = "ada@example.org") -> Answer:
    return client.post("/accounts/password/reset/", {"email": email}, follow=True)


def try_it() -> Notice:
    """One try of the newest message, as a worker makes it."""
    notice = Notice.objects.latest("pk")
    deliver(notice.pk, notice.attempts)
    return Notice.objects.get(pk=notice.pk)


def taken_up() -> Notice:
    """What becomes of the newest message once a worker takes up the last task that was put into its queue."""
    queued = DBTaskResult.objects.filter(queue_name=MESSAGES).latest("enqueued_at")
    pk, tries = queued.args_kwargs["args"]
    deliver(pk, tries)
    return Notice.objects.get(pk=pk)


def said(client: Client, page: str) -> str:
    """Which of the three the page says, and the part of it that renews itself as well; never two of them."""
    part = text_of(client.get("/accounts/mail/"))
    text = text_of(client.get(page))
    assert part in text
    assert "on its way" not in text, "the part that renews itself says it, and no message beside it"
    [only] = [words for words in (SENDING, SENT, FAILED) if words in text]
    return only


def ask_for_another_address(client: Client) -> None:
    client.post("/accounts/email/", {"email": "new@example.org", "action_add": ""})


@pytest.mark.parametrize(
    ("page", "ask"),
    [
        ("/accounts/confirm-email/", sign_up),
        ("/accounts/confirm-email/", lambda client: sign_up(client, email="ada@example.org")),
        ("/accounts/password/reset/done/", reset),
        ("/accounts/password/reset/done/", lambda client: reset(client, "nobody@example.org")),
        ("/accounts/email/", ask_for_another_address),
    ],
)
def test_the_page_says_that_a_mail_is_on_its_way_or_that_it_could_not_be_sent_never_both_and_sends_it_again(
    page: str, ask, broken: pytest.MonkeyPatch
) -> None:
    PasswordUserFactory.create()
    client = signed_in() if page == "/accounts/email/" else Client()
    ask(client)
    assert said(client, page) == SENDING
    assert taken_up().last_error
    assert said(client, page) == FAILED
    assert "Send it again" in text_of(client.get(page))
    assert "mail.example.org" not in text_of(client.get(page)), "what the server said is for administrators"

    assert client.post("/accounts/mail/again/")["location"] == page
    assert said(client, page) == SENDING
    broken.undo()
    taken_up()
    assert said(client, page) == SENT
    assert len(mail.outbox) == 1
    assert AuditEvent.objects.filter(action="account.mail_again").count() == 1


def test_asking_again_while_it_is_being_sent_sends_nothing_twice(broken: pytest.MonkeyPatch) -> None:
    client = Client()
    reset(client)
    tries = try_it().attempts
    for _ in range(3):
        client.post("/accounts/mail/again/")
    broken.undo()
    assert deliver(Notice.objects.get().pk, tries)
    assert not deliver(Notice.objects.get().pk, tries)
    client.post("/accounts/mail/again/")
    assert len(mail.outbox) == 1


def test_a_mail_that_was_given_up_is_sent_again_when_somebody_asks(broken: pytest.MonkeyPatch) -> None:
    client = Client()
    reset(client)
    for _ in range(MAX_TRIES):
        try_it()
    assert Notice.objects.get().is_given_up
    assert "Nobody tries it again by itself" in text_of(client.get("/accounts/mail/"))
    broken.undo()
    assert not deliver(Notice.objects.get().pk, MAX_TRIES)
    client.post("/accounts/mail/again/")
    assert taken_up().sent_at


def test_asking_again_is_limited(broken: pytest.MonkeyPatch) -> None:
    client = Client()
    reset(client)
    for _ in range(5):
        try_it()
        client.post("/accounts/mail/again/")
    tries = try_it().attempts
    answer = client.post("/accounts/mail/again/", follow=True)
    assert "wait ten minutes" in text_of(answer)
    assert not deliver(Notice.objects.get().pk, tries + 1)
    assert Notice.objects.get().attempts == tries
    assert FAILED in text_of(answer)


def test_nobody_sees_or_sends_again_what_was_asked_for_at_another_browser(broken: pytest.MonkeyPatch) -> None:
    reset(Client())
    notice = try_it()
    other = Client()
    assert "ada@example.org" not in text_of(other.get("/accounts/mail/"))
    assert other.post("/accounts/mail/again/")["location"] == "/accounts/login/"
    before = (notice.begun_at, notice.failed_at)
    notice.refresh_from_db()
    assert (notice.begun_at, notice.failed_at) == before
    assert Client(enforce_csrf_checks=True).post("/accounts/mail/again/").status_code == 403


def rows_of_everything() -> str:
    """All that the database holds, tasks and sessions too."""
    with connection.cursor() as cursor:
        found = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            found.append(str(cursor.fetchall()))
    return "\n".join(found)


@pytest.mark.parametrize("ask", [sign_up, reset])
def test_no_link_lies_in_the_database_in_the_clear_and_nothing_of_it_once_it_is_sent(ask) -> None:
    PasswordUserFactory.create()
    ask(Client())
    waiting = rows_of_everything()
    sealed = Notice.objects.get().sealed
    link = link_in_mail("lise@example.org" if ask is sign_up else "ada@example.org")
    secret = link.rstrip("/").rpartition("/")[2]
    signature = secret.rpartition(":" if ask is sign_up else "-")[2]
    assert len(signature) > 20
    assert sealed in waiting
    assert signature not in waiting
    after = rows_of_everything()
    assert sealed not in after
    assert Notice.objects.get().sealed == ""


def test_what_cannot_be_sent_for_a_day_is_given_up_and_its_words_are_removed(broken: pytest.MonkeyPatch) -> None:
    client = Client()
    reset(client)
    try_it()
    Notice.objects.update(created_at=timezone.now() - timedelta(hours=25))
    deliver_due()
    notice = Notice.objects.get()
    assert (notice.sealed, notice.is_given_up) == ("", True)
    text = text_of(client.get("/accounts/password/reset/done/"))
    assert "too old by now. Ask for another" in text
    assert "Send it again" not in text
    client.post("/accounts/mail/again/")
    assert Notice.objects.get().is_given_up


def test_a_mail_sealed_with_another_key_is_said_to_be_lost() -> None:
    reset(Client())
    with override_settings(SECRET_KEY="another key altogether, of fifty characters or more"):
        assert "SECRET_KEY was changed" in try_it().last_error
    with override_settings(SECRET_KEY="another key", SECRET_KEY_FALLBACKS=[settings_key()]):
        assert try_it().sent_at


def settings_key() -> str:
    from django.conf import settings

    return str(settings.SECRET_KEY)


def test_mail_that_fails_is_told_to_administrators_who_send_it_again(broken: pytest.MonkeyPatch) -> None:
    UserFactory.create(email="root@example.org", password=PASSWORD, administrator=True)
    root = signed_in("root@example.org")
    assert "No e-mail gets out" not in text_of(root.get("/health/"))
    reset(Client())
    notice = try_it()
    page = text_of(root.get("/health/"))
    assert "No e-mail gets out" in page
    assert "connection refused by mail.example.org" in page
    again = f"/health/messages/{notice.pk}/again/"
    assert signed_in_as_member().post(again).status_code == 403
    answer = root.post(again, follow=True)
    assert "is tried again now" in text_of(answer)
    assert "is being tried already" in text_of(root.post(again, follow=True))
    assert AuditEvent.objects.filter(action="message.again", target="ada@example.org").count() == 1
    broken.undo()
    assert taken_up().sent_at
    page = text_of(root.get("/health/"))
    assert "No e-mail gets out" not in page
    assert "Send it again" not in page


def signed_in_as_member() -> Client:
    PasswordUserFactory.create(email="grace@example.org")
    return signed_in("grace@example.org")


def test_a_link_that_an_administrator_has_sent_to_somebody_is_on_no_page_of_the_administrator_s_own() -> None:
    UserFactory.create(email="root@example.org", password=PASSWORD, administrator=True)
    root, ada = signed_in("root@example.org"), PasswordUserFactory.create()
    root.post("/admin/accounts/user/", {"action": "send_password_link", "_selected_action": ada.pk})
    assert Notice.objects.get(event="account").recipient == "ada@example.org"
    assert "ada@example.org" not in text_of(root.get("/accounts/mail/"))


@pytest.mark.parametrize("ask", [lambda client, email: sign_up(client, email=email, requested_group=f"Lab of {email}"[:10]), reset])
def test_how_an_address_was_written_is_shown_alike_whether_it_has_an_account(ask) -> None:
    PasswordUserFactory.create()
    known, unknown = Client(), Client()
    ask(known, "ADA@example.org")
    ask(unknown, "EVE@example.org")
    texts = [text_of(client.get("/accounts/mail/")) for client in (known, unknown)]
    assert texts[0].replace("ADA", "EVE").replace("ada", "eve") == texts[1]
    assert "eve" in texts[1].lower()
    assert len(delivered()) == 2
