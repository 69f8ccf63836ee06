"""Limits on wrong passwords and wrong codes of second factors.

A known device has a bucket of its own. Everybody else is counted by network address and account together, so that wrong tries
from one address lock nobody out elsewhere; by address, against who tries many accounts; and by account, far above what one
address may try, against who tries from many (NIST SP 800-63B, 5.2.2, asks for at most 100).
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
    """Nothing was tried; the message says how long to wait."""


@dataclass(frozen=True)
class Attempt:
    """A try that counts as wrong until it is known to be right."""

    usages: tuple[ratelimit.RateLimitUsage, ...]

    def was_right(self) -> None:
        """Take this try back, and no other: a right password alone lifts no lock."""
        for usage in self.usages:
            usage.rollback()


def begin(request: HttpRequest, proof: Proof, email: str) -> Attempt:
    """Count a try of a password, or of a code, for the account with this address. Raises TooManyAttempts."""
    email = email.strip().lower()
    usages: list[ratelimit.RateLimitUsage] = []
    for limit, key in _buckets(request, proof, email):
        usage = _consume(request, limit, key)
        if usage is None:
            # What a locked address goes on trying must not count against the account for everybody else.
            Attempt(tuple(usages)).was_right()
            raise TooManyAttempts(TOO_MANY_FROM_DEVICE if limit == "device" else TOO_MANY)
        usages.append(usage)
    return Attempt(tuple(usages))


def lift(request: HttpRequest, user: User) -> None:
    """Forget wrong tries for this account from this address or device: somebody signed in, with every step that takes."""
    device = device_of(request, user.email)
    for proof in PROOFS:
        _clear(request, "address_and_account", _with_address(request, proof, user.email))
        if device:
            _clear(request, "device", _with_device(proof, device, user.email))


def lift_everywhere(request: HttpRequest, email: str) -> None:
    """Forget wrong passwords for this account: a new one was set by e-mail."""
    email = email.strip().lower()
    _clear(request, "address_and_account", _with_address(request, "password", email))
    _clear(request, "account", f"password:{email}")


def _buckets(request: HttpRequest, proof: Proof, email: str) -> list[tuple[str, str]]:
    """The limits that a try counts against, the narrowest first, each with its key."""
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
