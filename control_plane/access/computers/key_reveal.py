"""One-time display of a member's access key."""

from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from control_plane.access.computers.models import KeyReveal
from control_plane.access.groups.errors import NoCredentials
from control_plane.access.groups.models import Access, Membership
from control_plane.access.groups.services.credentials import Credentials, find_membership, read_key, refuse_too_often
from control_plane.access.groups.services.keys import key_is_in_force
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused

MAX_REVEALS_PER_HOUR = 10


class AlreadyRevealed(Refused):
    """The key was shown before."""

    def __init__(self) -> None:
        super().__init__("This key was shown before, and it is shown only once. Nothing was changed; replace it if you lost it.")


def reveal_key(membership: Membership, actor: Actor) -> Credentials:
    """Return the member's key, to the member alone and only once. Raises AlreadyRevealed, NoCredentials or PermissionDenied.

    The caller checks that the person has just re-entered their password.
    """
    if actor.user is None or actor.user.pk != membership.user_id:
        raise PermissionDenied("Only the member may see their key. It was not shown.")
    membership = find_membership(membership.group, membership.user)
    if membership.access != Access.KEYS:
        raise NoCredentials("You have no access key in this group; use short-lived credentials. Nothing was changed.")
    if not key_is_in_force(membership):
        raise NoCredentials("Your key is being made on AWS. It was not shown; try again in a minute.")
    if revealed_at(membership) is not None:
        raise AlreadyRevealed
    refuse_too_often(actor, "member.reveal_key", MAX_REVEALS_PER_HOUR)
    try:
        key = read_key(membership)
    except (BotoCoreError, ClientError) as error:
        raise NoCredentials(f"AWS did not give the key: {error}. It was not shown; try again.") from error
    try:
        with transaction.atomic():
            KeyReveal.objects.create(membership=membership, key_serial=membership.key_serial)
            record(
                actor,
                "member.reveal_key",
                f"{membership.user.email} in {membership.group.slug}",
                key_serial=membership.key_serial,
                access_key_id=key.access_key_id,
            )
    except IntegrityError as error:
        raise AlreadyRevealed from error
    return key


def revealed_at(membership: Membership) -> datetime | None:
    """Return when the member's present key was shown to them; None if it was not. In one query."""
    shown = KeyReveal.objects.filter(membership=membership, key_serial=membership.key_serial)
    return shown.values_list("at", flat=True).first()
