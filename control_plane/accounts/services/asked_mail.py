"""The e-mail that somebody at this browser asked for last, such as one with a link to set a password: how far it is.

The browser's session names it. Whoever has an account and who has none are told the same.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from allauth.core.internal import ratelimit
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor, actor_for
from control_plane.base.audit.models import record
from control_plane.notifications import failures
from control_plane.notifications.models import Delivery, Notice

_KEY = "asked_mail"
# A worker takes it up at once; who waits for longer than this is told that it takes long.
SLOW = timedelta(minutes=1)
RATES = {"asked_mail": "5/10m/key,20/10m/ip"}


class Purpose(StrEnum):
    """What the link in it is for, and so the page that tells of it."""

    VERIFICATION = "verification"
    PASSWORD = "password"  # noqa: S105 - what it is about
    ADDRESS = "address"


# Mails that nobody waits for, such as word of a new password, are in none of these.
PURPOSES = {
    "account/email/email_confirmation": Purpose.VERIFICATION,
    "account/email/email_confirmation_signup": Purpose.VERIFICATION,
    # To who has an account already. What was asked for in its place, the page tells on which that was.
    "account/email/account_already_exists": Purpose.VERIFICATION,
    "account/email/password_reset_key": Purpose.PASSWORD,
    "account/email/unknown_account": Purpose.PASSWORD,
    "account/email/address_change": Purpose.ADDRESS,
}
# The pages that ask for no other purpose.
ASKING = {"account_reset_password": Purpose.PASSWORD, "account_email": Purpose.ADDRESS}
SHOWING = {
    Purpose.VERIFICATION: "account_email_verification_sent",
    Purpose.PASSWORD: "account_reset_password_done",
    Purpose.ADDRESS: "account_email",
}


@dataclass(frozen=True)
class AskedMail:
    """One that was asked for, as its page shows it."""

    notice: Notice
    purpose: Purpose

    @property
    def state(self) -> Literal["sending", "sent", "failed"]:
        """Exactly one of them."""
        return self.notice.delivery.value

    @property
    def can_be_sent_again(self) -> bool:
        """Whether a button makes sense: it failed, and what it says is there still."""
        return self.notice.delivery is Delivery.FAILED and self.notice.has_words

    @property
    def is_slow(self) -> bool:
        """Whether nobody even tried for a while: the worker may be down."""
        return self.notice.begun_at is None and self.notice.created_at < timezone.now() - SLOW

    @property
    def page(self) -> str:
        """The name of the page that shows it."""
        return SHOWING[self.purpose]


def remember(request: HttpRequest, notice: Notice, template_prefix: str) -> None:
    """Keep in the session that this mail was asked for, if it is one that somebody waits for."""
    if (purpose := _purpose(request, template_prefix)) is not None:
        request.session[_KEY] = {"notice": notice.pk, "purpose": purpose}


def of(request: HttpRequest) -> AskedMail | None:
    """Find the mail that was asked for last at this browser."""
    kept = request.session.get(_KEY)
    if kept is None:
        return None
    notice = Notice.objects.filter(pk=kept["notice"], event=Notice.Event.ACCOUNT).first()
    return None if notice is None else AskedMail(notice, Purpose(kept["purpose"]))


def send_again(request: HttpRequest, mail: AskedMail) -> str:
    """Have one that could not be sent tried again at once. Returns what is wrong with that, or nothing."""
    key = str(mail.notice.pk)
    if ratelimit.consume(request, app="control_plane.accounts", action="asked_mail", config=RATES, key=key) is None:
        return "You asked for that several times. Nothing more was sent; wait ten minutes, then try again."
    with transaction.atomic():
        if failures.try_again(mail.notice.pk):
            record(_asker(request), "account.mail_again", mail.notice.recipient, purpose=str(mail.purpose))
    return ""


def _asker(request: HttpRequest) -> Actor:
    if isinstance(request.user, User):
        return actor_for(request.user, request)
    return Actor.not_signed_in(request)


def _purpose(request: HttpRequest, template_prefix: str) -> Purpose | None:
    if (purpose := PURPOSES.get(template_prefix)) is None:
        return None
    page = ASKING.get((request.resolver_match.url_name or "") if request.resolver_match else "")
    # A link to set a password that an administrator has sent to somebody is nothing that they asked for themselves.
    return page or (None if purpose is Purpose.PASSWORD else purpose)
