"""Status of a member's key, as their page shows it."""

from dataclasses import dataclass
from datetime import datetime

from control_plane.access.computers.key_reveal import revealed_at
from control_plane.access.groups.models import Access, Membership
from control_plane.access.groups.services.keys import key_is_in_force
from control_plane.access.keys.listing import HeldKeys, held_keys


@dataclass(frozen=True)
class KeyStatus:
    """Status of a key: when it was made, whether AWS holds it yet, when it was shown, and what IAM says of its use."""

    made_at: datetime | None
    is_in_force: bool
    revealed_at: datetime | None
    held: HeldKeys


def key_status(membership: Membership) -> KeyStatus | None:
    """Return the status of the member's key; None if they have none. In three queries."""
    if membership.access != Access.KEYS:
        return None
    (held,) = held_keys(membership.group, [membership])
    return KeyStatus(held.made_at, key_is_in_force(membership), revealed_at(membership), held)
