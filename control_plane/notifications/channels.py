"""The two channels: e-mail by Django, and a signed webhook POST. Each raises NotDelivered, whose message holds no secret."""

import json
from datetime import UTC, datetime
from email.utils import parseaddr
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from django.conf import settings
from django.core.mail import EmailMessage
from standardwebhooks import Webhook

from control_plane.base.config import config
from control_plane.base.deadline import Deadline
from control_plane.base.email_url import LOOPBACK

# For the whole exchange, from connecting to the response's last header.
WEBHOOK_TIMEOUT_SECONDS = 10


class NotDelivered(RuntimeError):
    """The message was not accepted. It can be retried."""


def send_email(*, recipient: str, subject: str, body: str, message_id: str) -> None:
    """Hand one plain-text e-mail to the mail server. Raises NotDelivered."""
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    headers = {
        "Message-ID": f"<{message_id}@{sender.rpartition('@')[2]}>",
        # Tells auto-responders not to answer.
        "Auto-Submitted": "auto-generated",
    }
    try:
        EmailMessage(subject, body, to=[recipient], headers=headers).send()
    # A ValueError is an invalid address or header.
    except (OSError, ValueError) as error:
        raise NotDelivered(f"The mail server did not take it: {_reason(error)}") from error


def send_webhook(document: dict[str, Any]) -> None:
    """POST a document to WEBHOOK_URL, signed as standardwebhooks.com specifies. Raises NotDelivered unless the status is 2xx."""
    url, secret = config().webhook_url.get_secret_value(), config().webhook_secret
    if not url or secret is None:
        raise NotDelivered("WEBHOOK_URL is not set any more.")
    body, now = json.dumps(document, ensure_ascii=False), datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "user-agent": "Cohort",
        "webhook-id": document["id"],
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret.get_secret_value()).sign(document["id"], now, body),
    }
    # The scheme was checked when the settings were read: https, or http to this machine.
    request = Request(url, body.encode(), headers, method="POST")  # noqa: S310
    try:
        with Deadline(WEBHOOK_TIMEOUT_SECONDS) as deadline:
            _opener(url, deadline).open(request, timeout=WEBHOOK_TIMEOUT_SECONDS).close()
            # `http.client` does not raise for truncated headers.
            deadline.check()
    except HTTPError as error:
        error.close()
        raise NotDelivered(f"{webhook_host()} answered with status {error.code}.") from error
    except (OSError, HTTPException, ValueError) as error:
        raise NotDelivered(f"{webhook_host()} did not take it: {_reason(error)}") from error


def webhook_host() -> str:
    """Return the webhook's host, for display: the URL itself may hold a token. Empty if WEBHOOK_URL is not set."""
    return urlsplit(config().webhook_url.get_secret_value()).hostname or ""


class _NoRedirects(HTTPRedirectHandler):
    """Redirect handler that follows none: a request signed for one host is not for another."""

    def redirect_request(self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str) -> None:
        return None


class _Http(HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_connection_factory(self._deadline, HTTPConnection), req)


class _Https(HTTPSHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_connection_factory(self._deadline, HTTPSConnection), req)


def _connection_factory(deadline: Deadline, kind: type[HTTPConnection]) -> Any:
    """Return a factory of connections of this class that end with the deadline."""

    def connection(*args: Any, **more: Any) -> HTTPConnection:
        made = kind(*args, **more)
        made._create_connection = deadline.connect  # type: ignore[attr-defined]
        return made

    return connection


def _opener(url: str, deadline: Deadline) -> OpenerDirector:
    # A proxy cannot reach a server that listens on this machine alone.
    no_proxy = [ProxyHandler({})] if urlsplit(url).hostname in LOOPBACK else []
    return build_opener(_NoRedirects, _Http(deadline), _Https(deadline), *no_proxy)


def _reason(error: Exception) -> str:
    """Return the error in one sentence."""
    return f"{' '.join(str(error).split())[:300].rstrip('.') or type(error).__name__}."
