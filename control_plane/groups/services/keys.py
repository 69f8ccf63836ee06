"""A member's long-lived access key: how old it is, and replacing it."""

from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction

from control_plane.accounts.models import User
from control_plane.audit.actors import Actor
from control_plane.audit.models import record
from control_plane.deployments.models import Deployment, StoredManifest
from control_plane.deployments.requests import lock
from control_plane.groups.errors import NoCredentials, NotMember
from control_plane.groups.models import Access, Group, Membership
from control_plane.groups.permissions import may_decide
from control_plane.groups.services.credentials import refuse_too_often
from control_plane.groups.services.groups import request_group_deployment

MOST_ROTATIONS_AN_HOUR = 10


def key_generation(membership: Membership) -> int:
    """The generation of the group's stack that brings the member's present key."""
    return membership.key_generation or membership.added_generation


def key_is_in_force(membership: Membership) -> bool:
    """Whether AWS holds the member's present key. Until then it may hold the one before. Reads the group's stack."""
    return key_generation(membership) <= membership.group.stack.deployed_generation


def key_made_at(membership: Membership) -> datetime | None:
    """When the member's present key was asked for; AWS makes it with the deployment that follows."""
    return (
        StoredManifest.objects.filter(stack_id=membership.group.stack_id, generation=key_generation(membership))
        .values_list("created_at", flat=True)
        .first()
    )


def rotate_key(*, group: Group, user: User, actor: Actor) -> Deployment:
    """Have AWS make a member a new key and remove the old one. The member, the group's managers and administrators may.

    Raises NotMember, NoCredentials if there is no key or it is being made already, TooOften, or PermissionDenied.
    """
    if not (may_decide(actor, group) or (actor.user is not None and actor.user.pk == user.pk)):
        raise PermissionDenied("Only the member, the group's managers and administrators may replace a key. Nothing was changed.")
    refuse_too_often(actor, "member.rotate_key", MOST_ROTATIONS_AN_HOUR)
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        membership = Membership.objects.wanted().filter(group=group, user=user).first()
        if membership is None:
            raise NotMember(f"{user.email} is not in {group.name}. Nothing was changed.")
        membership.group = group
        if membership.access != Access.KEYS:
            raise NoCredentials(
                f"{user.email} has no access key in {group.name}, so there is none to replace. Nothing was changed."
            )
        if not key_is_in_force(membership):
            raise NoCredentials(f"A key for {user.email} is being made already. Nothing was changed; wait until it is there.")
        before = membership.key_serial
        membership.key_serial, membership.key_generation = before + 1, group.stack.generation + 1
        membership.save(update_fields=["key_serial", "key_generation"])
        deployment = request_group_deployment(group, f"Replacing {user.email}’s access key in {group.name}", actor)
        record(
            actor,
            "member.rotate_key",
            f"{user.email} in {group.slug}",
            before={"key_serial": before},
            after={"key_serial": membership.key_serial},
            deployment=deployment.pk,
        )
    return deployment
