"""Known devices: browsers in which an account was signed in, recognised by a signed cookie.

Attempts from unknown browsers are limited apart from those in a known one, so nobody can lock the owner out of it. The cookie
grants no access. It ends when the password changes, since it holds a digest of the password's hash.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, get_random_string, salted_hmac

from control_plane.accounts.models import User

COOKIE = "known_device"
# Sent only to the pages that take a password or a code.
PATH = "/accounts/"
LIFETIME = timedelta(days=180)
# Keeps the cookie of a shared computer small: browsers and nginx limit the size of headers.
MAX_ACCOUNTS = 5
_SALT = "cohort.accounts.known_device"
_TO_REMEMBER = "_account_to_remember"


@dataclass(frozen=True)
class _Entry:
    """An account's entry in the cookie: the device's random name, and a digest that ties it to the password."""

    device: str
    fingerprint: str


def device_of(request: HttpRequest, email: str) -> str | None:
    """Return the name under which the account with this address knows the requesting browser, or None.

    Queries the database only if the cookie holds an entry, so that a stranger's request takes the same time for every address.
    """
    entries = _read(request)
    if not entries:
        return None
    user = User.objects.filter(pk__in=entries, email=email.strip().lower()).first()
    return _device(entries, user) if user else None


def remember(request: HttpRequest, user: User) -> None:
    """Mark the request so that its response sets the cookie for the account. Call it after all steps of signing in."""
    setattr(request, _TO_REMEMBER, user)


def set_cookie(request: HttpRequest, response: HttpResponse) -> None:
    """Set the cookie on the response of a request in which somebody signed in or changed their password."""
    user: User | None = getattr(request, _TO_REMEMBER, None)
    if user is None:
        return
    entries = _read(request)
    device = _device(entries, user) or get_random_string(16)
    others = {pk: entry for pk, entry in entries.items() if pk != user.pk}
    kept = {user.pk: _Entry(device, _fingerprint(user)), **others}
    content = {str(pk): [entry.device, entry.fingerprint] for pk, entry in list(kept.items())[:MAX_ACCOUNTS]}
    response.set_cookie(
        COOKIE,
        signing.dumps(content, salt=_SALT),
        max_age=LIFETIME,
        path=PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _read(request: HttpRequest) -> dict[int, _Entry]:
    """Return the cookie's entries by account, the newest first; none if it is forged or too old."""
    try:
        content: dict[str, Any] = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=LIFETIME)
    except signing.BadSignature:
        return {}
    return {int(pk): _Entry(*values) for pk, values in content.items()}


def _device(entries: dict[int, _Entry], user: User) -> str | None:
    entry = entries.get(user.pk)
    return entry.device if entry and constant_time_compare(entry.fingerprint, _fingerprint(user)) else None


def _fingerprint(user: User) -> str:
    return salted_hmac(_SALT, f"{user.pk}:{user.password}", algorithm="sha256").hexdigest()[:32]
