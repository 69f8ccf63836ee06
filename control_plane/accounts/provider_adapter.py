"""allauth's adapter for sign-in by a provider: trust in verified addresses, and the data of a new account."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from control_plane.accounts.models import User
from control_plane.accounts.validation import tidy_name, validate_email, validate_person_name
from control_plane.base.config import config


class ProviderAdapter(DefaultSocialAccountAdapter):
    """Signing in with ORCID, Google, GitHub or at an institution."""

    error_messages = DefaultSocialAccountAdapter.error_messages | {
        "email_taken": "Sign in to your account first, then connect your account at %s on your account's page.",
        "no_password": "This is the only way into your account. Set a password first, then disconnect it. Nothing was changed.",
    }

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        # Some servers send the string "false"; only `true` counts.
        for address in sociallogin.email_addresses:
            address.verified = address.verified is True
        sociallogin.email_addresses = [address for address in sociallogin.email_addresses if _passes(validate_email, address.email)]
        if not _passes(validate_email, data.get("email") or ""):
            data.pop("email", None)
        user: User = super().populate_user(request, sociallogin, data)
        name = data.get("name") or f"{data.get('first_name') or ''} {data.get('last_name') or ''}"
        user.name = tidy_name(name)[:120] if _passes(validate_person_name, name) else ""
        return user

    def get_signup_form_initial_data(self, sociallogin: SocialLogin) -> dict[str, Any]:
        return {**super().get_signup_form_initial_data(sociallogin), "name": sociallogin.user.name}

    def can_authenticate_by_email(self, login: SocialLogin, email: str) -> bool:
        """Check whether an address that this provider has verified gives access to the account with that address."""
        if login.provider.id == "openid_connect":
            domain = email.lower().rpartition("@")[2]
            return any(
                domain == allowed or (allowed.startswith(".") and domain.endswith(allowed))
                for allowed in config().oidc_email_domains
            )
        return bool(super().can_authenticate_by_email(login, email))

    def authenticate_by_email(self, sociallogin: SocialLogin) -> tuple[User, str] | None:
        """Return the account whose own verified address is one that the provider has verified, with the address; else None.

        An account with an unverified address may have been created by somebody else, who waits for the owner.
        """
        for address in sociallogin.email_addresses:
            if address.verified is True and self.can_authenticate_by_email(sociallogin, address.email):
                known = EmailAddress.objects.filter(email=address.email.lower(), verified=True).select_related("user").first()
                if known:
                    return known.user, address.email
        return None


def _passes(validate: Any, value: str) -> bool:
    try:
        validate(value)
    except ValidationError:
        return False
    return True
