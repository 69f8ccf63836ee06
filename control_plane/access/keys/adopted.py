"""The keys that people brought along from the predecessor: a second key beside their own, until it is removed.

CloudFormation does not know of them, and cannot remove a user who has such a key. So Cohort removes them itself: when somebody
asks, and always before a deployment that takes the user away.
"""

import logging

from botocore.exceptions import ClientError
from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.models import Membership
from control_plane.access.keys.models import AdoptedKey
from control_plane.base import aws
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.aws import AwsFailure
from control_plane.deployments.iam_delay import DENIED, MISSING, code_of
from control_plane.deployments.iam_lookups import Lookups
from control_plane.deployments.models import Stack
from control_plane.deployments.requests import lock
from stacks.manifest import GroupManifest, names, parse

logger = logging.getLogger("cohort.keys")

MAX_AT_ONCE = 50


def adopt(*, membership: Membership, access_key_id: str, old_user: str) -> AdoptedKey:
    """Note a key that a member brought along, and on the stack that it is none that somebody added. Atomic."""
    with transaction.atomic():
        key = AdoptedKey.objects.create(membership=membership, access_key_id=access_key_id, old_user=old_user)
        note_on_stack(membership.group.stack_id)
    return key


def note_on_stack(stack_id: int) -> None:
    """Have the stack's row name the adopted keys that AWS still holds. In the transaction that changes one of them.

    The stack is locked, so that of two who change keys of one group the second sees what the first did.
    """
    stack = lock(stack_id)
    there = AdoptedKey.objects.there().filter(membership__group__stack=stack)
    stack.adopted_key_ids = list(there.order_by("pk").values_list("access_key_id", flat=True))
    stack.save(update_fields=["adopted_key_ids"])


def remove_requested() -> int:
    """Remove the old keys that somebody asked to remove. Level-triggered: what fails is taken up again. Returns how many went."""
    removed = 0
    marked = AdoptedKey.objects.filter(state=AdoptedKey.State.REMOVING).select_related("membership__group__stack")
    for key in marked.order_by("pk")[:MAX_AT_ONCE]:
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
    ending = AdoptedKey.objects.there().filter(membership__group__stack=stack).exclude(membership__username__in=wanted.key_holders)
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
            note_on_stack(membership.group.stack_id)
            record(Actor.system("worker"), "legacy.key_removed", target, before={"access_key_id": key.access_key_id})
