"""State of the e-mail last requested in this browser, such as one with a link to set a password.

The browser's session refers to it. The pages say the same whether or not there is an account.
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
# A worker sends it at once; after a longer wait the page says that it takes long.
SLOW_AFTER = timedelta(minutes=1)
RATES = {"asked_mail": "5/10m/key,20/10m/ip"}


class Purpose(StrEnum):
    """Purpose of the link in the e-mail, which decides the page that shows the state."""

    VERIFICATION = "verification"
    PASSWORD = "password"  # noqa: S105 - what it is about
    ADDRESS = "address"


# E-mails that nobody waits for, such as the notice of a new password, are not listed.
PURPOSES = {
    "account/email/email_confirmation": Purpose.VERIFICATION,
    "account/email/email_confirmation_signup": Purpose.VERIFICATION,
    # To somebody who has an account already; the page on which it was requested can change the purpose (`_purpose`).
    "account/email/account_already_exists": Purpose.VERIFICATION,
    "account/email/password_reset_key": Purpose.PASSWORD,
    "account/email/unknown_account": Purpose.PASSWORD,
    "account/email/address_change": Purpose.ADDRESS,
}
# Pages whose e-mails all have one purpose.
PURPOSE_BY_PAGE = {"account_reset_password": Purpose.PASSWORD, "account_email": Purpose.ADDRESS}
PAGE_BY_PURPOSE = {
    Purpose.VERIFICATION: "account_email_verification_sent",
    Purpose.PASSWORD: "account_reset_password_done",
    Purpose.ADDRESS: "account_email",
}


@dataclass(frozen=True)
class RequestedMail:
    """A requested e-mail, as its page shows it."""

    notice: Notice
    purpose: Purpose

    @property
    def state(self) -> Literal["sending", "sent", "failed"]:
        """Delivery state."""
        return self.notice.delivery.value

    @property
    def can_be_sent_again(self) -> bool:
        """True if it failed and its text is still stored."""
        return self.notice.delivery is Delivery.FAILED and self.notice.has_words

    @property
    def is_slow(self) -> bool:
        """True if no attempt was made for SLOW_AFTER: the worker may be down."""
        return self.notice.begun_at is None and self.notice.created_at < timezone.now() - SLOW_AFTER

    @property
    def page(self) -> str:
        """URL name of the page that shows it."""
        return PAGE_BY_PURPOSE[self.purpose]


def remember(request: HttpRequest, notice: Notice, template_prefix: str) -> None:
    """Keep the request for this e-mail in the session, if it is one that somebody waits for."""
    if (purpose := _purpose(request, template_prefix)) is not None:
        request.session[_KEY] = {"notice": notice.pk, "purpose": purpose}


def last_requested(request: HttpRequest) -> RequestedMail | None:
    """Return the e-mail that was requested last in this browser, or None."""
    kept = request.session.get(_KEY)
    if kept is None:
        return None
    notice = Notice.objects.filter(pk=kept["notice"], event=Notice.Event.ACCOUNT).first()
    return None if notice is None else RequestedMail(notice, Purpose(kept["purpose"]))


def send_again(request: HttpRequest, mail: RequestedMail) -> str:
    """Enqueue another attempt for an e-mail that could not be sent. Returns the reason if that is refused, else ''."""
    key = str(mail.notice.pk)
    if ratelimit.consume(request, app="control_plane.accounts", action="asked_mail", config=RATES, key=key) is None:
        return "You asked for that several times. Nothing more was sent; wait ten minutes, then try again."
    with transaction.atomic():
        if failures.try_again(mail.notice.pk):
            record(_actor(request), "account.mail_again", mail.notice.recipient, purpose=str(mail.purpose))
    return ""


def _actor(request: HttpRequest) -> Actor:
    if isinstance(request.user, User):
        return actor_for(request.user, request)
    return Actor.not_signed_in(request)


def _purpose(request: HttpRequest, template_prefix: str) -> Purpose | None:
    if (purpose := PURPOSES.get(template_prefix)) is None:
        return None
    page = PURPOSE_BY_PAGE.get((request.resolver_match.url_name or "") if request.resolver_match else "")
    # A link to set a password that an administrator sends was not requested by the person themself.
    return page or (None if purpose is Purpose.PASSWORD else purpose)
