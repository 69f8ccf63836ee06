"""Content of a notice as it is sent: the e-mail's text, and the webhook's document."""

import json
from dataclasses import dataclass
from typing import Any

from control_plane.base.config import config
from control_plane.notifications.models import MAX_SUBJECT_CHARACTERS, Notice


@dataclass(frozen=True)
class Letter:
    """Content of an e-mail: subject, paragraphs, the path of the one page that it links to, and why the recipient gets it.

    `reason` continues the sentence "Cohort tells you this", which is left out if it is empty. The text holds no secret.
    """

    subject: str
    paragraphs: list[str]
    path: str
    reason: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the fields of a `Notice` for it, with the subject cut to one line that mail programs show whole."""
        subject = _shorten(" ".join(self.subject.split()))
        return {"subject": subject, "paragraphs": self.paragraphs, "path": self.path, "reason": self.reason}


@dataclass(frozen=True)
class Message:
    """An e-mail as it is sent, in plain text."""

    subject: str
    body: str


def compose_email(notice: Notice) -> Message:
    """Return the e-mail of a notice that is not sealed."""
    why = [f"Cohort tells you this {notice.reason}."] if notice.reason else []
    return Message(notice.subject, "\n\n".join([*notice.paragraphs, absolute_url(notice.path), *why]) + "\n")


def webhook_document(notice: Notice) -> dict[str, Any]:
    """Return the webhook's document: `id`, `type`, `timestamp` (ISO 8601) and `data`."""
    held = json.loads(notice.document)
    return {
        "id": notice.message_id,
        "type": held["type"],
        "timestamp": notice.created_at.isoformat(),
        "data": held["data"],
    }


def absolute_url(path: str) -> str:
    """Return the absolute URL of a path of the site."""
    return f"{config().site_url.rstrip('/')}{path}"


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_SUBJECT_CHARACTERS else f"{text[: MAX_SUBJECT_CHARACTERS - 1]}…"
