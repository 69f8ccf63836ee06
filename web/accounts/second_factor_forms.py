"""allauth's forms for second factors, with our own limits on wrong codes.

The forms for passkeys also report a malformed answer as a wrong one instead of failing on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base import forms as base
from allauth.mfa.totp import forms as app
from allauth.mfa.webauthn import forms as webauthn
from cryptography.exceptions import InvalidSignature
from django.core.exceptions import ValidationError

from control_plane.accounts import attempts
from control_plane.accounts.models import User


@contextmanager
def _wrong_if_malformed() -> Iterator[None]:
    """Report a missing key, a value of another type or an invalid signature as a wrong code."""
    try:
        yield
    except (AttributeError, InvalidSignature, KeyError, OverflowError, TypeError, ValueError) as error:
        raise get_adapter().validation_error("incorrect_code") from error


@contextmanager
def _counted(user: User) -> Iterator[None]:
    """Count the attempt as wrong unless it passes. Raises ValidationError after too many."""
    try:
        attempt = attempts.begin(context.request, "code", user.email)
    except attempts.TooManyAttempts as error:
        raise ValidationError(str(error), code="too_many_login_attempts") from error
    yield
    attempt.undo()


class _CountedCode:
    """Mix-in for the forms that take a code."""

    user: User

    def clean_code(self) -> str:
        with _counted(self.user):
            return str(super().clean_code())  # type: ignore[misc]


class CodeForm(_CountedCode, base.AuthenticateForm):
    """Code after the password."""


class CodeAgainForm(_CountedCode, base.ReauthenticateForm):
    """Code before a sensitive action."""


class ActivateAppForm(_CountedCode, app.ActivateTOTPForm):
    """First code of an authenticator app that is being set up."""


class AddForm(webauthn.AddWebAuthnForm):
    """Form to add a passkey or security key."""

    def clean(self) -> dict[str, Any]:
        with _wrong_if_malformed():
            return super().clean()


class _Checked:
    """Mix-in for the forms that take a passkey's proof."""

    def clean_credential(self) -> Any:
        with _wrong_if_malformed():
            return super().clean_credential()  # type: ignore[misc]


class _CountedProof(_Checked):
    """Mix-in for the forms that take a passkey's proof from a person who is already known."""

    user: User

    def clean_credential(self) -> Any:
        with _counted(self.user):
            return super().clean_credential()


class SignInForm(_Checked, webauthn.LoginWebAuthnForm):
    """Sign-in with a passkey alone."""


class SecondStepForm(_CountedProof, webauthn.AuthenticateWebAuthnForm):
    """Passkey after the password."""


class AgainForm(_CountedProof, webauthn.ReauthenticateWebAuthnForm):
    """Passkey before a sensitive action."""
