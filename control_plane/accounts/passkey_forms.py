"""allauth's forms for passkeys, which take what no authenticator would send for a wrong answer instead of failing on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.webauthn import forms as webauthn
from cryptography.exceptions import InvalidSignature


@contextmanager
def _wrong_if_malformed() -> Iterator[None]:
    """A key that lacks, a value of another kind, a signature that does not fit: the same answer for all."""
    try:
        yield
    except (AttributeError, InvalidSignature, KeyError, OverflowError, TypeError, ValueError) as error:
        raise get_adapter().validation_error("incorrect_code") from error


class AddForm(webauthn.AddWebAuthnForm):
    """Adding a passkey or security key."""

    def clean(self) -> dict[str, Any]:
        with _wrong_if_malformed():
            return super().clean()


class _Checked:
    """Mixed into the forms that take a proof."""

    def clean_credential(self) -> Any:
        with _wrong_if_malformed():
            return super().clean_credential()  # type: ignore[misc]


class SignInForm(_Checked, webauthn.LoginWebAuthnForm):
    """Signing in with a passkey alone."""


class SecondStepForm(_Checked, webauthn.AuthenticateWebAuthnForm):
    """After the password."""


class AgainForm(_Checked, webauthn.ReauthenticateWebAuthnForm):
    """Before something that matters."""
