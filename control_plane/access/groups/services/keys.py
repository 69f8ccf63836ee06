"""Rotation of members' access keys: the age of a key, replacing it, and the overlap in which the old key still works.

IAM allows two keys for a user, so the old key has to be removed from AWS before the next rotation. For the end of the overlap
see `control_plane.access.keys.replaced_keys`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from control_plane.access.groups.announcements import announce_about_group
from control_plane.access.groups.errors import InvalidOverlap, NoCredentials, NoOldKey, NotMember, OldKeyThere
from control_plane.access.groups.models import Access, Group, Membership, PreviousKey
from control_plane.access.groups.permissions import may_decide, require_manager
from control_plane.access.groups.services.credentials import refuse_too_often
from control_plane.access.groups.services.groups import request_group_deployment
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.deployments.models import Deployment, StoredManifest
from control_plane.deployments.requests import lock
from stacks.manifest import ManifestError

MAX_ROTATIONS_PER_HOUR = 10
NO_OVERLAP = timedelta(0)
DEFAULT_OVERLAP = timedelta(days=7)
MAX_OVERLAP = timedelta(days=90)


class OldKey(StrEnum):
    """Action on the previous key."""

    STOP = "stop"
    BRING_BACK = "bring-back"
    REMOVE = "remove"


@dataclass(frozen=True)
class GroupRotation:
    """Started rotation of a group's keys: the number replaced, and the reason by address for each key left out."""

    deployment: Deployment
    replaced: int
    left_out: dict[str, str]


def key_generation(membership: Membership) -> int:
    """Return the generation of the group's stack that brings the member's present key."""
    return membership.key_generation or membership.added_generation


def key_is_in_force(membership: Membership) -> bool:
    """Return whether AWS holds the member's present key; until then it may hold the previous one. Reads the group's stack."""
    return key_generation(membership) <= membership.group.stack.deployed_generation


def key_made_at(membership: Membership) -> datetime | None:
    """Return when the member's present key was requested; AWS makes it with the deployment that follows."""
    return (
        StoredManifest.objects.filter(stack_id=membership.group.stack_id, generation=key_generation(membership))
        .values_list("created_at", flat=True)
        .first()
    )


def rotate_key(*, group: Group, user: User, actor: Actor, overlap: timedelta = DEFAULT_OVERLAP) -> Deployment:
    """Have AWS make a member a new key. The old one works for `overlap` longer; with none, it ends once the new one exists.

    The member, the group's managers and administrators may; a member is told if somebody else replaces their key. Raises NotMember,
    NoCredentials if there is no key or it is being made already, OldKeyThere, InvalidOverlap, TooOften, or PermissionDenied.
    """
    if not may_replace(actor, group, user):
        raise PermissionDenied("Only the member, the group's managers and administrators may replace a key. Nothing was changed.")
    check_overlap(overlap)
    refuse_too_often(actor, "member.rotate_key", MAX_ROTATIONS_PER_HOUR)
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        membership = _holder(group, user)
        _refuse_rotation(membership, on_aws=_usernames_with_old_key(group))
        before = _next_key(membership, overlap)
        deployment = request_group_deployment(group, f"Replacing {user.email}’s access key in {group.name}", actor)
        _record_rotation(membership, before, deployment, actor)
    return deployment


def rotate_group_keys(*, group: Group, actor: Actor, overlap: timedelta = DEFAULT_OVERLAP) -> GroupRotation:
    """Have AWS make new keys for all key holders of the group, in one deployment. Its managers and administrators may.

    Holders whose key is being made, or whose old key still exists, are left out, with the reason. Raises NoCredentials if that
    leaves nobody, InvalidOverlap, TooOften or PermissionDenied.
    """
    require_manager(actor, group)
    check_overlap(overlap)
    refuse_too_often(actor, "group.rotate_keys", MAX_ROTATIONS_PER_HOUR)
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        holders = Membership.objects.wanted().filter(group=group, access=Access.KEYS).select_related("user").order_by("user__email")
        holders = holders.prefetch_related("adopted_keys")
        replaced, left_out = _split_replaceable(group, holders)
        if not replaced:
            raise NoCredentials(" ".join(["No key was replaced.", *left_out.values()] if left_out else [_no_key_holder(group)]))
        serials = {membership.pk: _next_key(membership, overlap) for membership in replaced}
        deployment = request_group_deployment(group, f"Replacing {_count(len(replaced))} of {group.name}", actor)
        for membership in replaced:
            _record_rotation(membership, serials[membership.pk], deployment, actor, action="group.rotate_key")
        record(
            actor,
            "group.rotate_keys",
            f"group {group.slug}",
            replaced=len(replaced),
            left_out=sorted(left_out),
            overlap_days=overlap.days,
            deployment=deployment.pk,
        )
    return GroupRotation(deployment, len(replaced), left_out)


def end_overlap(
    *, group: Group, user: User, actor: Actor, wish: OldKey = OldKey.REMOVE, overlap: timedelta = DEFAULT_OVERLAP
) -> Deployment:
    """Remove the previous key, make it inactive, or, while it exists, activate it again for `overlap`.

    The member, the group's managers and administrators may. Raises NotMember, NoCredentials, NoOldKey, InvalidOverlap, or
    PermissionDenied.
    """
    if not may_replace(actor, group, user):
        raise PermissionDenied(
            "Only the member, the group's managers and administrators may say what becomes of an old key. Nothing was changed."
        )
    if wish == OldKey.BRING_BACK:
        check_overlap(overlap, shortest=timedelta(days=1))
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        membership = _holder(group, user)
        before = membership.previous_key
        after, until = _requested_state(membership, wish, overlap)
        set_previous(membership, after, until)
        summary = {
            OldKey.REMOVE: f"Removing {user.email}’s old access key in {group.name}",
            OldKey.STOP: f"Making {user.email}’s old access key in {group.name} inactive",
            OldKey.BRING_BACK: f"Bringing {user.email}’s old access key in {group.name} back",
        }[wish]
        deployment = request_group_deployment(group, summary, actor)
        record_old_key(membership, before, deployment, actor)
    return deployment


def remove_old_keys(*, group: Group, actor: Actor) -> tuple[Deployment, int]:
    """Remove all old keys of a group in one deployment, so that its present ones can be replaced. Returns their number too.

    The group's managers and administrators may. Raises NoOldKey or PermissionDenied.
    """
    require_manager(actor, group)
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        held = Membership.objects.wanted().filter(group=group).exclude(previous_key="")
        old = list(held.select_related("user").order_by("user__email"))
        if not old:
            raise NoOldKey(f"There is no old key in {group.name}. Nothing was changed.")
        before = {membership.pk: membership.previous_key for membership in old}
        for membership in old:
            membership.group = group
            set_previous(membership, "", None)
        deployment = request_group_deployment(group, f"Removing {_count(len(old), 'old access key')} of {group.name}", actor)
        for membership in old:
            record_old_key(membership, before[membership.pk], deployment, actor)
    return deployment, len(old)


def may_replace(actor: Actor, group: Group, user: User) -> bool:
    """Return whether the actor may decide about this member's keys."""
    return (actor.user is not None and actor.user.pk == user.pk) or may_decide(actor, group)


def check_overlap(overlap: timedelta, *, shortest: timedelta = NO_OVERLAP) -> None:
    """Raise InvalidOverlap for an overlap that is too short or too long."""
    if not shortest <= overlap <= MAX_OVERLAP:
        raise InvalidOverlap(
            f"An old key can go on for {shortest.days} to {MAX_OVERLAP.days} days. Nothing was changed; choose a time within that."
        )


def set_previous(membership: Membership, state: str, until: datetime | None) -> None:
    """Save the state of the previous key and its end, for a caller that holds the stack's lock."""
    membership.previous_key, membership.previous_key_until = state, until
    membership.save(update_fields=["previous_key", "previous_key_until"])


def record_old_key(membership: Membership, before: str, deployment: Deployment, actor: Actor) -> None:
    """Record the new state of an old key in the audit trail. Reads the membership's group and user."""
    until = membership.previous_key_until
    record(
        actor,
        "member.old_key",
        f"{membership.user.email} in {membership.group.slug}",
        before={"previous_key": before},
        after={"previous_key": membership.previous_key, "until": until.isoformat() if until else None},
        key_serial=membership.key_serial - 1,
        deployment=deployment.pk,
    )


def inactive_until() -> datetime:
    """Return the moment until which a key that is made inactive now can be brought back."""
    return timezone.now() + timedelta(days=config().key_inactive_days)


def _holder(group: Group, user: User) -> Membership:
    membership: Membership | None = Membership.objects.wanted().select_related("user").filter(group=group, user=user).first()
    if membership is None:
        raise NotMember(f"{user.email} is not in {group.name}. Nothing was changed.")
    membership.group = group
    if membership.access != Access.KEYS:
        raise NoCredentials(f"{user.email} has no access key in {group.name}, so there is none to replace. Nothing was changed.")
    return membership


def _refuse_rotation(membership: Membership, *, on_aws: frozenset[str]) -> None:
    """Raise NoCredentials or OldKeyThere if the key cannot be replaced now. `on_aws`: usernames whose old key AWS holds."""
    email = membership.user.email
    if not key_is_in_force(membership):
        raise NoCredentials(f"A key for {email} is being made already. Nothing was changed; wait until it is there.")
    if membership.previous_key:
        raise OldKeyThere(
            f"{email}’s old key is still there, and AWS allows no third. Nothing was changed; "
            "remove the old key first, then replace the present one once that is done."
        )
    if adopted := next((key for key in membership.adopted_keys.all() if key.state != "removed"), None):
        raise OldKeyThere(
            f"{email}’s key from before Cohort ({adopted.access_key_id}) is still there, and AWS allows no third. Nothing was "
            "changed; use the present key in all programs, remove that one, then replace the present one."
        )
    if membership.username in on_aws:
        raise OldKeyThere(
            f"{email}’s old key is being removed, and AWS allows no third. "
            "Nothing was changed; replace the present one in a minute."
        )


def _usernames_with_old_key(group: Group) -> frozenset[str]:
    """Return the usernames for which AWS holds an old key too, by the manifest that was deployed last."""
    stack = group.stack
    try:
        manifest = StoredManifest.objects.group_at(stack, stack.deployed_generation)
    except ManifestError:
        # Written by another version of Cohort; the deployment would fail with the reason.
        return frozenset()
    return frozenset(member.username for member in manifest.members if member.previous_key) if manifest else frozenset()


def _split_replaceable(group: Group, holders: Iterable[Membership]) -> tuple[list[Membership], dict[str, str]]:
    """Return the memberships whose key can be replaced now, and the reason by address for each of the others."""
    replaced, left_out, on_aws = [], {}, _usernames_with_old_key(group)
    for membership in holders:
        membership.group = group
        try:
            _refuse_rotation(membership, on_aws=on_aws)
        except (NoCredentials, OldKeyThere) as refusal:
            left_out[membership.user.email] = str(refusal)
        else:
            replaced.append(membership)
    return replaced, left_out


def _next_key(membership: Membership, overlap: timedelta) -> int:
    """Increment the key's serial, and set how long the present key still works. Returns the present key's serial."""
    before = membership.key_serial
    membership.key_serial, membership.key_generation = before + 1, membership.group.stack.generation + 1
    if overlap:
        membership.previous_key, membership.previous_key_until = PreviousKey.ACTIVE, timezone.now() + overlap
    membership.save(update_fields=["key_serial", "key_generation", "previous_key", "previous_key_until"])
    return before


def _requested_state(membership: Membership, wish: OldKey, overlap: timedelta) -> tuple[str, datetime | None]:
    """Return the old key's state and its end after this action. Raises NoOldKey."""
    holder = f"{membership.user.email} in {membership.group.name}"
    if not membership.previous_key:
        raise NoOldKey(f"There is no old key of {holder}. Nothing was changed.")
    match wish:
        case OldKey.REMOVE:
            return "", None
        case OldKey.STOP if membership.previous_key == PreviousKey.ACTIVE:
            return PreviousKey.INACTIVE, inactive_until()
        case OldKey.BRING_BACK if membership.previous_key == PreviousKey.INACTIVE:
            return PreviousKey.ACTIVE, timezone.now() + overlap
    raise NoOldKey(
        f"The old key of {holder} is {'active' if wish == OldKey.BRING_BACK else 'inactive'} already. Nothing was changed."
    )


def _record_rotation(
    membership: Membership, before: int, deployment: Deployment, actor: Actor, *, action: str = "member.rotate_key"
) -> None:
    group, user, until = membership.group, membership.user, membership.previous_key_until
    record(
        actor,
        action,
        f"{user.email} in {group.slug}",
        before={"key_serial": before},
        after={"key_serial": membership.key_serial, "old_key_until": until.isoformat() if until else None},
        deployment=deployment.pk,
    )
    if user.is_active and (actor.user is None or actor.user.pk != user.pk):
        _announce_replaced(membership, actor)


def _announce_replaced(membership: Membership, actor: Actor) -> None:
    group, until = membership.group, membership.previous_key_until
    old = (
        f"Your present key works until {until:%A, %d %B %Y}; use the new one in all your programs before that."
        if until
        else "Your present key stops working as soon as the new one is ready."
    )
    author = actor.label if actor.channel == "web" else "An administrator"
    announce_about_group(
        group,
        about=f"key {membership.key_serial} of membership {membership.pk}",
        recipients=[membership.user.email],
        subject=f"Your access key for {group.name} is being replaced",
        paragraphs=[f"{author} is replacing your access key for {group.name}. {old}", "The new key is shown once, on this page:"],
        path=credentials_path(group),
    )


def credentials_path(group: Group) -> str:
    """Return the path of the page with a member's own key."""
    return reverse("credentials:page", args=(group.slug,))


def _no_key_holder(group: Group) -> str:
    return f"Nobody in {group.name} holds an access key. Nothing was changed."


def _count(keys: int, what: str = "access key") -> str:
    return f"{keys} {what}{'' if keys == 1 else 's'}"
