"""Rate limits on wrong passwords and wrong codes of second factors.

A known device has a limit of its own. All others are counted by network address and account together, so that wrong attempts
from one address lock nobody out elsewhere; by address, against attempts on many accounts; and by account, far above the limit of
one address, against attempts from many addresses (NIST SP 800-63B, 5.2.2, asks for at most 100).
"""

from dataclasses import dataclass
from typing import Literal

from allauth.core.internal import ratelimit
from django.http import HttpRequest

from control_plane.accounts.known_devices import device_of
from control_plane.accounts.models import User

Proof = Literal["password", "code"]
PROOFS: tuple[Proof, ...] = ("password", "code")

_APP = "control_plane.accounts"
RATES = {
    "device": "10/h/key",
    "address_and_account": "5/5m/key",
    "address": "10/m/ip",
    "account": "100/h/key",
}
TOO_MANY = "Too many wrong tries. Nothing was changed; wait five minutes, then try again."
TOO_MANY_FROM_DEVICE = (
    "Too many wrong tries in this browser. Nothing was changed; wait an hour, or set a new password by “Forgotten your password?”."
)


class TooManyAttempts(Exception):
    """A limit was reached and nothing was checked; the message says how long to wait."""


@dataclass(frozen=True)
class Attempt:
    """An attempt that counts as wrong until it is known to be right."""

    usages: tuple[ratelimit.RateLimitUsage, ...]

    def undo(self) -> None:
        """Take this attempt back, and no other: a right password alone lifts no lock."""
        for usage in self.usages:
            usage.rollback()


def begin(request: HttpRequest, proof: Proof, email: str) -> Attempt:
    """Count an attempt with a password or a code for the account with this address. Raises TooManyAttempts."""
    email = email.strip().lower()
    usages: list[ratelimit.RateLimitUsage] = []
    for limit, key in _buckets(request, proof, email):
        usage = _consume(request, limit, key)
        if usage is None:
            # Further attempts from a locked address must not count against the account for everybody else.
            Attempt(tuple(usages)).undo()
            raise TooManyAttempts(TOO_MANY_FROM_DEVICE if limit == "device" else TOO_MANY)
        usages.append(usage)
    return Attempt(tuple(usages))


def lift(request: HttpRequest, user: User) -> None:
    """Reset the limits for this account from this address or device, after a complete sign-in."""
    device = device_of(request, user.email)
    for proof in PROOFS:
        _clear(request, "address_and_account", _with_address(request, proof, user.email))
        if device:
            _clear(request, "device", _with_device(proof, device, user.email))


def lift_everywhere(request: HttpRequest, email: str) -> None:
    """Reset the password limits for this account, after a new password was set by e-mail."""
    email = email.strip().lower()
    _clear(request, "address_and_account", _with_address(request, "password", email))
    _clear(request, "account", f"password:{email}")


def _buckets(request: HttpRequest, proof: Proof, email: str) -> list[tuple[str, str]]:
    """Return the limits that an attempt counts against, the narrowest first, each with its key."""
    if device := device_of(request, email):
        return [("device", _with_device(proof, device, email))]
    return [
        ("address_and_account", _with_address(request, proof, email)),
        ("address", ""),
        ("account", f"{proof}:{email}"),
    ]


def _with_address(request: HttpRequest, proof: Proof, email: str) -> str:
    return f"{proof}:{ratelimit.get_ip(request)}:{email}"


def _with_device(proof: Proof, device: str, email: str) -> str:
    return f"{proof}:{device}:{email}"


def _consume(request: HttpRequest, limit: str, key: str) -> ratelimit.RateLimitUsage | None:
    return ratelimit.consume(request, app=_APP, action=limit, config=RATES, key=key, limit_get=True)


def _clear(request: HttpRequest, limit: str, key: str) -> None:
    ratelimit.clear(request, app=_APP, action=limit, config=RATES, key=key)
