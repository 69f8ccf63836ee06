"""allauth's account adapter: permission to sign up, addresses that are taken, and delivery of its e-mails."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.urls import reverse

from control_plane.accounts import attempts
from control_plane.accounts.models import User
from control_plane.accounts.services import requested_mail
from control_plane.accounts.services.addresses import disconnect_unverified_providers, is_taken
from control_plane.accounts.validation import validate_email
from control_plane.base.config import config
from control_plane.notifications.outbox import put_account_mail


class AccountAdapter(DefaultAccountAdapter):
    """Accounts by e-mail address. Changes to an account are in `services`; the site uses the subclass in `people.adapter`."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "account_inactive": "This account is not active. Ask an administrator.",
        "email_password_mismatch": "That address and that password do not go together. Check both, or set a new password.",
        "too_many_login_attempts": attempts.TOO_MANY,
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return config().sign_up == "open"

    def clean_email(self, email: str) -> str:
        validate_email(email)
        return email

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        try:
            with transaction.atomic():
                return super().save_user(request, user, form, commit)
        except IntegrityError as error:
            # Somebody else took the address a moment ago; the answer is the same as for an address that was taken before.
            raise ImmediateHttpResponse(self.respond_email_verification_sent(request, None)) from error

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        try:
            self._attempt = attempts.begin(request, "password", str(credentials.get("email") or ""))
        except attempts.TooManyAttempts as error:
            raise ValidationError(str(error), code="too_many_login_attempts") from error

    def _rollback_login_failed_rl_usage(self) -> None:
        """Take the attempt back after a right password (allauth's hook)."""
        self._attempt.undo()

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """Lift the limits after a password was set by e-mail (allauth's hook)."""
        attempts.lift_everywhere(request, credentials["email"])

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        if is_taken(email_address.email, by_other_than=email_address.user):
            return False
        with transaction.atomic():
            return super().confirm_email(request, email_address)

    def set_password(self, user: User, password: str) -> None:
        """Set the password, and disconnect accounts elsewhere that were connected before the address was verified."""
        with transaction.atomic():
            disconnect_unverified_providers(user)
            super().set_password(user, password)

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return site_address("account_confirm_email", emailconfirmation.key)

    def get_reset_password_from_key_url(self, key: str) -> str:
        user, _, token = key.partition("-")
        return site_address("account_reset_password_from_key", user, token)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Put the e-mail into the outbox: no request waits for a mail server. The pages show the state of a requested e-mail."""
        # From SITE_URL, never from the request's own host.
        links = {"sign_up_url": site_address("account_signup"), "new_password_url": site_address("account_reset_password")}
        message = self.render_mail(template_prefix, email, {"email": email, **context, **links})
        notice = put_account_mail(recipient=email, subject=message.subject, body=str(message.body))
        if self.request is not None:
            requested_mail.remember(self.request, notice, template_prefix)


def site_address(name: str, *arguments: object) -> str:
    """Return the absolute URL of a page."""
    return f"{config().site_url.rstrip('/')}{reverse(name, args=arguments)}"
