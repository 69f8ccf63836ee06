"""What goes out, made of what a notice holds: the e-mail's text, and the webhook's document."""

import json
from dataclasses import dataclass
from typing import Any

from control_plane.base.config import config
from control_plane.notifications.models import LONGEST_SUBJECT, Notice


@dataclass(frozen=True)
class Letter:
    """The words of an e-mail: what happened, the path of the one page that it links to, and why the recipient is told.

    `reason` goes on from "Cohort tells you this"; nothing is said where it is empty. The words hold no secret.
    """

    subject: str
    paragraphs: list[str]
    path: str
    reason: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the fields of a `Notice` that hold it, with the subject in one line that mail programs show whole."""
        subject = _cut(" ".join(self.subject.split()))
        return {"subject": subject, "paragraphs": self.paragraphs, "path": self.path, "reason": self.reason}


@dataclass(frozen=True)
class Message:
    """One e-mail as it is sent: plain text."""

    subject: str
    body: str


def message(notice: Notice) -> Message:
    """Make the e-mail of a notice whose words are not sealed."""
    why = [f"Cohort tells you this {notice.reason}."] if notice.reason else []
    return Message(notice.subject, "\n\n".join([*notice.paragraphs, absolute(notice.path), *why]) + "\n")


def document(notice: Notice) -> dict[str, Any]:
    """Make what the webhook posts: `id`, `type`, `timestamp` (ISO 8601) and `data`."""
    held = json.loads(notice.document)
    return {
        "id": notice.message_id,
        "type": held["type"],
        "timestamp": notice.created_at.isoformat(),
        "data": held["data"],
    }


def absolute(path: str) -> str:
    """Return the address of one of the site's pages, from anywhere."""
    return f"{config().site_url.rstrip('/')}{path}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SUBJECT else f"{text[: LONGEST_SUBJECT - 1]}…"
