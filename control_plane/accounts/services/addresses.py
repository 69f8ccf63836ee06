"""A person's e-mail address: verifying it, and changing it.

A requested change is stored in the link alone, not in the database: nobody can reserve an address that is not theirs.
"""

from collections.abc import Iterable
from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F

from control_plane.accounts.models import User, trust_address
from control_plane.accounts.signals import address_verified
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused

LINK_SECONDS = 24 * 60 * 60
_SALT = "cohort.accounts.address"


class LinkNotValid(Refused):
    """A link that is forged, too old, or was used before."""


class AddressTaken(Refused):
    """The address belongs to another account."""


NOT_VALID = "This link is too old, was used before, or is not whole. Your address was not changed; ask for a new link."


def is_taken(email: str, *, by_other_than: User) -> bool:
    """Check whether another account has this address, verified or not."""
    return User.objects.filter(email__iexact=email).exclude(pk=by_other_than.pk).exists()


def address_is_verified(user: User) -> bool:
    """Check whether the person has verified the address, or somebody vouched for it."""
    return EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists()


def note_verified(user: User, *, actor: Actor) -> None:
    """Record that the address is verified, and send `address_verified`: a request made at sign-up goes on."""
    with transaction.atomic():
        record(actor, "account.address_verified", user.email)
        address_verified.send(sender=User, user=user)


def disconnect_unverified_providers(user: User) -> None:
    """Disconnect the providers of an account whose address is not verified.

    Whoever sets a password by e-mail owns the address; whoever signed up with it before may be somebody else.
    """
    if not address_is_verified(user):
        SocialAccount.objects.filter(user=user).delete()


def discard_unverified_logins(users: Iterable[User], *, actor: Actor) -> None:
    """Discard the passwords and connected providers of accounts with an unverified address, before they get access.

    Whoever signed up with the address may be somebody else, who waits for the owner to open the link. The owner sets a password by
    "Forgotten your password?".
    """
    people = list(users)
    verified = EmailAddress.objects.filter(user__in=people, email=F("user__email"), verified=True)
    known = set(verified.values_list("user", flat=True))
    for user in people:
        if user.pk in known:
            continue
        user.set_unusable_password()
        user.save(update_fields=["password"])
        SocialAccount.objects.filter(user=user).delete()
        record(actor, "account.password_discarded", user.email, reason="the address was never verified")


def make_link_token(user: User, email: str) -> str:
    """Return the token of a link that changes the person's address to `email`. Valid once: it holds the present address, too."""
    return signing.dumps({"user": user.pk, "from": user.email, "to": email}, salt=_SALT)


def read_link_token(user: User, token: str) -> str:
    """Return the new address in the token. Raises LinkNotValid, or PermissionDenied if the link is another person's."""
    try:
        content: dict[str, Any] = signing.loads(token, salt=_SALT, max_age=LINK_SECONDS)
    except signing.BadSignature as error:
        raise LinkNotValid(NOT_VALID) from error
    if content["user"] != user.pk:
        raise PermissionDenied("This link is for another account. Nothing was changed; sign in to that account to use it.")
    if content["from"] != user.email:
        raise LinkNotValid(NOT_VALID)
    return str(content["to"])


def change_address(*, user: User, token: str, actor: Actor) -> tuple[str, str]:
    """Change the person's address to the one in the link. Returns the old and the new one.

    Raises LinkNotValid, AddressTaken or PermissionDenied.
    """
    try:
        with transaction.atomic():
            person = User.objects.select_for_update().get(pk=user.pk)
            old, new = person.email, read_link_token(person, token)
            if is_taken(new, by_other_than=person):
                raise AddressTaken(f"{new} cannot be used for this account. Your address was not changed; choose another one.")
            person.email = new
            person.full_clean(exclude=["password"])
            person.save(update_fields=["email"])
            trust_address(person)
            record(actor, "account.address_changed", old, before={"email": old}, after={"email": new})
            note_verified(person, actor=actor)
    except IntegrityError as error:
        raise AddressTaken(f"{new} cannot be used for this account. Your address was not changed; choose another one.") from error
    return old, new
