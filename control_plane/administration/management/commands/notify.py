"""`manage.py notify test`: whether e-mail and the webhook work, said plainly."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError

from control_plane.accounts.validation import validate_email
from control_plane.base.config import config
from control_plane.base.terminal import VerbCommand
from control_plane.notifications.channels import NotDelivered, send_email, send_webhook, webhook_host


class Command(VerbCommand):
    """Notifications from a terminal."""

    help = "Try out the notifications."

    def add_verbs(self) -> None:
        test = self.verb("test", self.test, "Send a test e-mail and, where WEBHOOK_URL is set, a test document to it.")
        test.add_argument("email", metavar="e-mail")

    def test(self, options: dict[str, Any]) -> None:
        email, identity = options["email"].strip(), f"test_{uuid4().hex}"
        try:
            validate_email(email)
        except ValidationError as error:
            self.refuse(f"{' '.join(error.messages)} Nothing was sent.", options)
        problems: dict[str, str] = {}
        done = {"email": f"The test e-mail to {email} was {_where()}."}
        try:
            send_email(recipient=email, subject="Cohort can reach you", body=_body(), message_id=identity)
        except NotDelivered as refusal:
            problems["email"] = f"The test e-mail to {email} was not sent. {refusal} Check EMAIL_URL and DEFAULT_FROM_EMAIL."
        if host := webhook_host():
            done["webhook"] = f"{host} took the test document {identity}."
            try:
                send_webhook({"id": identity, "type": "test", "timestamp": datetime.now(UTC).isoformat(), "data": {}})
            except NotDelivered as refusal:
                problems["webhook"] = f"The test document was not taken. {refusal} Check WEBHOOK_URL and what answers there."
        else:
            done["webhook"] = "WEBHOOK_URL is not set, so nothing was posted."
        if problems:
            self.refuse("\n".join({**done, **problems}.values()), options)
        self.show(options, done, "\n".join(done.values()))


def _where() -> str:
    match settings.EMAIL_BACKEND.rsplit(".", 2)[-2]:
        case "smtp":
            return f"taken by the mail server {settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
        case "filebased":
            return f"written to {getattr(settings, 'EMAIL_FILE_PATH', 'a folder')}"
        case "console":
            return "printed here, because EMAIL_URL is console:, which sends nothing"
        case other:
            return f"handed to Django's {other} back end"


def _body() -> str:
    return f"Somebody tried whether Cohort's e-mails arrive. This one did.\n\n{config().site_url}\n"
