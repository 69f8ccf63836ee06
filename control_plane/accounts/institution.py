"""OpenID Connect claims from an institution's server, validated: a claim of the wrong type counts as missing."""

from typing import Any, TypeGuard

from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from django.http import HttpRequest

# String claims, by OpenID Connect Core 1.0, 5.1. Other claims are not used, and not kept.
TEXTS = ("name", "given_name", "family_name", "preferred_username", "email", "picture")
MAX_CLAIM_CHARACTERS = 1_000
# At most 255 by OpenID Connect Core 1.0, 2; allauth's column holds fewer.
MAX_SUBJECT_CHARACTERS = 191


class InstitutionProvider(OpenIDConnectProvider):
    """Replacement of allauth's class, which does not check the types of claims."""

    package = "allauth.socialaccount.providers.openid_connect"

    def sociallogin_from_response(self, request: HttpRequest, response: Any) -> SocialLogin:
        """Return the login of this person. Raises OAuth2Error, which is shown as a page, if the answer has no usable `sub`."""
        given = response if isinstance(response, dict) else {}
        answer = {part: claims for part in ("userinfo", "id_token") if (claims := _claims(given.get(part)))}
        if not answer:
            raise OAuth2Error("the server's answer does not say who signed in: `sub` is missing, or no text")
        return super().sociallogin_from_response(request, answer)


def _claims(given: Any) -> dict[str, Any]:
    """Return the claims that are used and have the right type; none without a subject."""
    if not isinstance(given, dict):
        return {}
    subject = given.get("sub")
    if isinstance(subject, int) and not isinstance(subject, bool):
        subject = str(subject)
    if not _is_text(subject) or not 0 < len(subject) <= MAX_SUBJECT_CHARACTERS:
        return {}
    texts = {name: given[name] for name in TEXTS if _is_text(given.get(name))}
    return {"sub": subject, "email_verified": given.get("email_verified") is True, **texts}


def _is_text(value: Any) -> TypeGuard[str]:
    """Check that the value is a string that a database can hold."""
    if not isinstance(value, str) or len(value) > MAX_CLAIM_CHARACTERS or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
