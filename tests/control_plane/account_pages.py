"""What tests of accounts share: somebody at a browser, their mailbox, and their second factor."""

import re
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.core.mail import EmailMessage
from django.test import Client

from control_plane.base.audit.models import AuditEvent
from control_plane.notifications.delivery import deliver
from control_plane.notifications.models import Notice
from tests.factories import PASSWORD

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse

# What a test's client gets: an answer with more to it, which has a name in the types alone.
Answer: TypeAlias = "_MonkeyPatchedWSGIResponse"

NEW_PASSWORD = "another long enough one"


def sign_in(client: Client, email: str = "ada@example.org", password: str = PASSWORD, **more: Any) -> Answer:
    return client.post("/accounts/login/", {"login": email, "password": password}, **more)


def signed_in(email: str = "ada@example.org", **more: Any) -> Client:
    """A browser in which this person is signed in and has just given the password again."""
    client = Client(**more)
    assert sign_in(client, email).status_code == 302
    assert client.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    return client


def is_signed_in(client: Client) -> bool:
    return client.get("/accounts/profile/").status_code == 200


def delivered() -> list[EmailMessage]:
    """Every e-mail that was sent so far, once a worker has taken up what waits about accounts."""
    for notice in Notice.objects.unsent().filter(event=Notice.Event.ACCOUNT, attempts=0).order_by("pk"):
        assert deliver(notice.pk, 0)
    return mail.outbox


def link_in_mail(to: str) -> str:
    """The path of the one link in the last message to this address."""
    message = [item for item in delivered() if item.to == [to]][-1]
    links: list[str] = re.findall(r"https?://\S+", str(message.body))
    assert len(links) == 1, message.body
    assert links[0].startswith("http://localhost:8000/"), "the site's own address, whatever the request's was"
    return links[0].removeprefix("http://localhost:8000")


def totp(secret: str, drift: int = 0) -> str:
    """The code that an authenticator app shows now."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30 + drift)))


def deeds(action: str = "account.") -> list[str]:
    return list(AuditEvent.objects.filter(action__startswith=action).order_by("pk").values_list("action", flat=True))


class HasContent(Protocol):
    """An answer of a view's, or of a test's client."""

    @property
    def content(self) -> bytes: ...


def text_of(answer: HasContent) -> str:
    """What a person reads of a page."""
    html = re.sub(r"<(script|style).*?</\1>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
