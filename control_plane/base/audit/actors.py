"""Actors of the audit trail: a person on the web, an operator at the machine's terminal, or a part of Cohort."""

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from django.http import HttpRequest

if TYPE_CHECKING:
    from control_plane.accounts.models import User


@dataclass(frozen=True)
class Actor:
    """An actor, with label, channel and network address. Passed to every service that changes something or hands something out."""

    label: str
    channel: Literal["web", "terminal", "system"]
    user: "User | None" = None
    address: str | None = None

    @classmethod
    def of_request(cls, request: HttpRequest) -> Self:
        """Return the signed-in person behind a request. Raises ValueError if nobody is signed in."""
        user = request.user
        if not user.is_authenticated:
            raise ValueError("The request has no signed-in person.")
        return cls(label=user.email, channel="web", user=user, address=request.META.get("REMOTE_ADDR") or None)

    @classmethod
    def not_signed_in(cls, request: HttpRequest | None) -> Self:
        """Return the actor for a page that needs no sign-in."""
        return cls(label="somebody not signed in", channel="web", address=request.META.get("REMOTE_ADDR") if request else None)

    @classmethod
    def at_terminal(cls) -> Self:
        """Return whoever runs a command on this machine; being able to read its settings is the right to act."""
        return cls(label=f"terminal:{getpass.getuser()}", channel="terminal")

    @classmethod
    def system(cls, part: str) -> Self:
        """Return a part of Cohort that acts by itself."""
        return cls(label=f"system:{part}", channel="system")

    @property
    def is_operator(self) -> bool:
        """True if the actor works on the machine itself rather than through the web."""
        return self.channel in ("terminal", "system")


def actor_for(user: "User", request: HttpRequest | None) -> Actor:
    """Return the person as the actor of what they do before, or while, they are signed in."""
    return Actor(label=user.email, channel="web", user=user, address=request.META.get("REMOTE_ADDR") if request else None)
