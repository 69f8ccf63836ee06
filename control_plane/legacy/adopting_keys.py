"""The keys that people brought along from the predecessor: a second key beside their own, until it is removed.

CloudFormation does not know of them, and cannot remove a user who has such a key. So Cohort removes them itself: when somebody
asks, and always before a deployment that takes the user away.
"""

import logging

from botocore.exceptions import ClientError
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from control_plane import aws
from control_plane.audit.actors import Actor
from control_plane.audit.models import record
from control_plane.aws import AwsFailure
from control_plane.deployments.iam_delay import DENIED, MISSING, code_of
from control_plane.deployments.iam_lookups import Lookups
from control_plane.deployments.models import Stack
from control_plane.groups.errors import NoOldKey
from control_plane.groups.models import AccessState, Membership
from control_plane.groups.permissions import may_decide
from control_plane.legacy.models import AdoptedKey
from control_plane.legacy.tasks import remove_old_keys
from stacks.manifest import GroupManifest, names, parse

logger = logging.getLogger("cohort.legacy")

MOST_AT_ONCE = 50


def old_keys(membership: Membership) -> QuerySet[AdoptedKey]:
    """What a member brought along and still has."""
    return AdoptedKey.objects.there().filter(membership=membership)


def known_keys(stack: Stack) -> set[str]:
    """The identifiers of all keys that members of this group brought along and still have."""
    return set(AdoptedKey.objects.there().filter(membership__group__stack=stack).values_list("access_key_id", flat=True))


def request_removal(key: AdoptedKey, *, actor: Actor) -> AdoptedKey:
    """Have a worker remove an old key. The member, the group's managers and administrators may.

    Raises NoOldKey if it is gone already or there is no key of Cohort's own beside it yet, or PermissionDenied.
    """
    membership = key.membership
    if not (may_decide(actor, membership.group) or (actor.user is not None and actor.user.pk == membership.user_id)):
        raise PermissionDenied("Only the member, the group's managers and administrators may remove a key. Nothing was changed.")
    with transaction.atomic():
        key = AdoptedKey.objects.select_for_update().get(pk=key.pk)
        if key.state == AdoptedKey.State.REMOVED:
            raise NoOldKey(f"The old key {key.access_key_id} is gone already. Nothing was changed.")
        if membership.access_state == AccessState.ADDING:
            raise NoOldKey(
                f"{membership.user.email} has no new key yet, so the old one stays. Nothing was changed; wait until it is there."
            )
        if key.state == AdoptedKey.State.IN_USE:
            key.state = AdoptedKey.State.REMOVING
            key.save(update_fields=["state"])
            before = {"access_key_id": key.access_key_id, "old_user": key.old_user}
            record(actor, "legacy.remove_key", f"{membership.user.email} in {membership.group.slug}", before=before)
        transaction.on_commit(remove_old_keys.enqueue)
    return key


def remove_requested() -> int:
    """Remove the old keys that somebody asked to remove. Level-triggered: what fails is taken up again. Returns how many went."""
    removed = 0
    marked = AdoptedKey.objects.filter(state=AdoptedKey.State.REMOVING).select_related("membership__group__stack")
    for key in marked.order_by("pk")[:MOST_AT_ONCE]:
        try:
            remove(key)
            removed += 1
        except AwsFailure as error:
            logger.warning("%s: the old key could not be removed yet: %s", key, error)
    return removed


def remove_before_deploying(stack: Stack, manifest: str) -> None:
    """Remove the old keys of those who hold a key no more by this manifest, so that AWS can remove their users.

    Raises AwsFailure.
    """
    wanted = parse(manifest) if manifest else None
    if not isinstance(wanted, GroupManifest):
        return
    holders = [member.username for member in wanted.members if member.access == "keys"]
    ending = AdoptedKey.objects.there().filter(membership__group__stack=stack).exclude(membership__username__in=holders)
    for key in ending.select_related("membership__group__stack"):
        remove(key)


def remove(key: AdoptedKey) -> None:
    """Remove the key from AWS, and note it. Does nothing where it is gone. Raises AwsFailure."""
    membership = key.membership
    with aws.explained():
        client = aws.client("iam", membership.group.stack.place)
        user = names.user(membership.group.slug, membership.username)
        try:
            client.delete_access_key(UserName=user, AccessKeyId=key.access_key_id)
        except ClientError as error:
            is_denied = code_of(error) in DENIED
            if code_of(error) != MISSING and not (is_denied and not Lookups(client, membership.group.stack).has("user", user)):
                raise
    with transaction.atomic():
        there = AdoptedKey.objects.there().filter(pk=key.pk)
        if there.update(state=AdoptedKey.State.REMOVED, removed_at=timezone.now()):
            target = f"{membership.user.email} in {membership.group.slug}"
            record(Actor.system("worker"), "legacy.key_removed", target, before={"access_key_id": key.access_key_id})
