"""What an institution's server says of a person, read with care: a claim of a type that it should not have is as good as none."""

from typing import Any, TypeGuard

from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.http import HttpRequest

# Texts, by OpenID Connect Core 1.0, 5.1. What else a server tells is of no use here, and is not kept.
TEXTS = ("name", "given_name", "family_name", "preferred_username", "email", "picture")
MAX_CHARACTERS = 1_000
# By OpenID Connect Core 1.0, 2, at most 255; allauth's column takes fewer.
MAX_OF_SUBJECT = 191


class InstitutionProvider(OpenIDConnectProvider):
    """Stands in for allauth's class, which takes every claim for what it should be."""

    package = "allauth.socialaccount.providers.openid_connect"

    def sociallogin_from_response(self, request: HttpRequest, response: Any) -> SocialLogin:
        """Read who this is. Raises OAuth2Error, which ends on a page, where the answer does not say even that."""
        given = response if isinstance(response, dict) else {}
        found = {part: claims for part in ("userinfo", "id_token") if (claims := _claims(given.get(part)))}
        if not found:
            raise OAuth2Error("the server's answer does not say who signed in: `sub` is missing, or no text")
        return super().sociallogin_from_response(request, found)


def _claims(given: Any) -> dict[str, Any]:
    """The claims that are of use, of the types that they should have; none without a subject."""
    if not isinstance(given, dict):
        return {}
    subject = given.get("sub")
    if isinstance(subject, int) and not isinstance(subject, bool):
        subject = str(subject)
    if not _is_text(subject) or not 0 < len(subject) <= MAX_OF_SUBJECT:
        return {}
    texts = {name: given[name] for name in TEXTS if _is_text(given.get(name))}
    return {"sub": subject, "email_verified": given.get("email_verified") is True, **texts}


def _is_text(value: Any) -> TypeGuard[str]:
    """Whether a database can keep it."""
    if not isinstance(value, str) or len(value) > MAX_CHARACTERS or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
