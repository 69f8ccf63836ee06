"""Sign-out everywhere: other browsers, computers, and every AWS session opened for the person.

A new password does the same, so that anybody who knew the old one is signed out. Access keys are replaced on demand.
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

MAX_SIGN_OUTS_PER_HOUR = 10
SIGNED_OUT = "account.signed_out_everywhere"


@dataclass(frozen=True)
class SignedOut:
    """Result of a sign-out: names of computers and groups whose sessions ended, of groups where that failed, and refusals.

    `keys`: groups whose access key is being replaced. `kept_keys`: groups whose key still works.
    """

    computers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    kept_keys: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


def sign_out_everywhere(*, user: User, session_key: str, actor: Actor, replace_keys: bool = False) -> SignedOut:
    """Sign the person out everywhere but in the browser that asks, at most MAX_SIGN_OUTS_PER_HOUR times. Raises TooOften."""
    refuse_too_often(actor, SIGNED_OUT, MAX_SIGN_OUTS_PER_HOUR)
    with transaction.atomic():
        end_other_sessions(user=user, session_key=session_key, actor=actor)
        record(actor, SIGNED_OUT, user.email)
        return end_computers_and_sessions(user=user, actor=actor, replace_keys=replace_keys)


def end_computers_and_sessions(*, user: User, actor: Actor, replace_keys: bool = False) -> SignedOut:
    """End the person's computers and AWS sessions. Needs a transaction.

    Browser sessions stay: a new password ends them by itself.
    """
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
        kept_keys=tuple(row.group.name for row in memberships_with_key(user) if row.group.name not in replaced),
        refusals=tuple(refusals),
    )


def memberships_with_key(user: User) -> Sequence[Membership]:
    """Return the memberships in which the person holds an access key."""
    held = Membership.objects.wanted().filter(user=user, access=Access.KEYS)
    return list(held.select_related("group").order_by("group__stack"))


def _replace_keys(user: User, actor: Actor) -> tuple[list[str], list[str]]:
    """Replace all access keys of the person without overlap. Returns the names of the groups, and the refusals."""
    replaced, refusals = [], []
    for membership in memberships_with_key(user):
        try:
            rotate_key(group=membership.group, user=user, actor=actor, overlap=NO_OVERLAP)
        except Refused as refusal:
            refusals.append(f"{membership.group.name}: {refusal}")
        else:
            replaced.append(membership.group.name)
    return replaced, refusals
