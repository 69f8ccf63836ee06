"""Signing out everywhere: the other browsers, the computers, and every session of AWS that was opened for the person.

A new password does the same, so that whoever knew the old one is out. Access keys are replaced where the person asks for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.models import Access, Membership
from control_plane.access.groups.services.credentials import refuse_too_often
from control_plane.access.groups.services.keys import NO_OVERLAP, rotate_key
from control_plane.access.groups.services.session_revocation import end_sessions_of
from control_plane.accounts.models import User
from control_plane.accounts.services.computers import sign_out_all
from control_plane.accounts.services.sessions import end_other_sessions
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused

MAX_PER_HOUR = 10
SIGNED_OUT = "account.signed_out_everywhere"


@dataclass(frozen=True)
class SignedOut:
    """What was ended: computers by their names, groups by theirs; and what could not be, with the reasons.

    `keys`: the groups whose access key is being replaced. `kept_keys`: those whose key still works.
    """

    computers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    kept_keys: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


def sign_out_everywhere(*, user: User, session_key: str, actor: Actor, replace_keys: bool = False) -> SignedOut:
    """Sign the person out everywhere but in the browser that asks, at most MAX_PER_HOUR times. Raises TooOften."""
    refuse_too_often(actor, SIGNED_OUT, MAX_PER_HOUR)
    with transaction.atomic():
        end_other_sessions(user=user, session_key=session_key, actor=actor)
        record(actor, SIGNED_OUT, user.email)
        return end_computers_and_sessions(user=user, actor=actor, replace_keys=replace_keys)


def end_computers_and_sessions(*, user: User, actor: Actor, replace_keys: bool = False) -> SignedOut:
    """End all that was opened for this person but browsers, which a new password ends by itself. Needs a transaction."""
    user.signed_out_at = timezone.now()
    user.save(update_fields=["signed_out_at"])
    computers = sign_out_all(user, actor=actor)
    cut_off = end_sessions_of(user, actor=actor)
    replaced, refusals = _replace_keys(user, actor) if replace_keys else ([], [])
    return SignedOut(
        computers=tuple(computers),
        groups=cut_off.groups,
        failed=cut_off.failed,
        keys=tuple(replaced),
        kept_keys=tuple(one.group.name for one in keys_of(user) if one.group.name not in replaced),
        refusals=tuple(refusals),
    )


def keys_of(user: User) -> Sequence[Membership]:
    """The memberships in which the person holds an access key."""
    held = Membership.objects.wanted().filter(user=user, access=Access.KEYS)
    return list(held.select_related("group").order_by("group__stack"))


def _replace_keys(user: User, actor: Actor) -> tuple[list[str], list[str]]:
    """Replace all access keys of the person, the old ones ending as the new ones are there. Returns groups and refusals."""
    replaced, refusals = [], []
    for membership in keys_of(user):
        try:
            rotate_key(group=membership.group, user=user, actor=actor, overlap=NO_OVERLAP)
        except Refused as refusal:
            refusals.append(f"{membership.group.name}: {refusal}")
        else:
            replaced.append(membership.group.name)
    return replaced, refusals
