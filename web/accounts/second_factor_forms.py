"""allauth's forms for second factors, with limits of our own on wrong codes.

Those for passkeys take what no authenticator would send for a wrong answer instead of failing on it.
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
    """A key that lacks, a value of another kind, a signature that does not fit: the same answer for all."""
    try:
        yield
    except (AttributeError, InvalidSignature, KeyError, OverflowError, TypeError, ValueError) as error:
        raise get_adapter().validation_error("incorrect_code") from error


@contextmanager
def _counted(user: User) -> Iterator[None]:
    """Count what is tried as wrong unless it passes. Raises ValidationError where there were too many."""
    try:
        attempt = attempts.begin(context.request, "code", user.email)
    except attempts.TooManyAttempts as error:
        raise ValidationError(str(error), code="too_many_login_attempts") from error
    yield
    attempt.undo()


class _CountedCode:
    """A mix-in for the forms that take a code."""

    user: User

    def clean_code(self) -> str:
        with _counted(self.user):
            return str(super().clean_code())  # type: ignore[misc]


class CodeForm(_CountedCode, base.AuthenticateForm):
    """A code after the password."""


class CodeAgainForm(_CountedCode, base.ReauthenticateForm):
    """A code before something that matters."""


class ActivateAppForm(_CountedCode, app.ActivateTOTPForm):
    """The first code of an authenticator app that is being set up."""


class AddForm(webauthn.AddWebAuthnForm):
    """Adding a passkey or security key."""

    def clean(self) -> dict[str, Any]:
        with _wrong_if_malformed():
            return super().clean()


class _Checked:
    """A mix-in for the forms that take a passkey's proof."""

    def clean_credential(self) -> Any:
        with _wrong_if_malformed():
            return super().clean_credential()  # type: ignore[misc]


class _CountedProof(_Checked):
    """A mix-in for the forms that take a passkey's proof from a person who is known already."""

    user: User

    def clean_credential(self) -> Any:
        with _counted(self.user):
            return super().clean_credential()


class SignInForm(_Checked, webauthn.LoginWebAuthnForm):
    """Signing in with a passkey alone."""


class SecondStepForm(_CountedProof, webauthn.AuthenticateWebAuthnForm):
    """After the password."""


class AgainForm(_CountedProof, webauthn.ReauthenticateWebAuthnForm):
    """Before something that matters."""
