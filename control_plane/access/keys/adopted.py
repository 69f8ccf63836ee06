"""Adopted keys, which the predecessor made: a second key beside a member's own, until it is removed.

CloudFormation does not know of them, and cannot delete a user who has such a key. So Cohort removes them itself: on request,
and always before a deployment that deletes the user.
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
from control_plane.deployments.iam_lookups import IamLookups
from control_plane.deployments.models import Stack
from control_plane.deployments.requests import lock
from stacks import names
from stacks.manifest import GroupManifest, parse

logger = logging.getLogger("cohort.keys")

MAX_KEYS_PER_SWEEP = 50


def adopt(*, membership: Membership, access_key_id: str, old_user: str) -> AdoptedKey:
    """Record a member's key of the predecessor, and on the stack that it is expected there. Atomic."""
    with transaction.atomic():
        key = AdoptedKey.objects.create(membership=membership, access_key_id=access_key_id, old_user=old_user)
        update_adopted_key_ids(membership.group.stack_id)
    return key


def update_adopted_key_ids(stack_id: int) -> None:
    """Set the stack's `adopted_key_ids` to those that AWS still holds. In the transaction that changes one of them.

    The stack is locked, so that of two changes to one group's keys the second sees the first.
    """
    stack = lock(stack_id)
    there = AdoptedKey.objects.held_by_aws().filter(membership__group__stack=stack)
    stack.adopted_key_ids = list(there.order_by("pk").values_list("access_key_id", flat=True))
    stack.save(update_fields=["adopted_key_ids"])


def remove_requested_keys() -> int:
    """Remove the adopted keys whose removal was requested. A failure is tried again. Returns how many were removed."""
    removed = 0
    marked = AdoptedKey.objects.filter(state=AdoptedKey.State.REMOVING).select_related("membership__group__stack")
    for key in marked.order_by("pk")[:MAX_KEYS_PER_SWEEP]:
        try:
            remove(key)
            removed += 1
        except AwsFailure as error:
            logger.warning("%s: the old key could not be removed yet: %s", key, error)
    return removed


def remove_before_deploying(stack: Stack, manifest: str) -> None:
    """Remove the adopted keys of members who hold no key by this manifest, so that CloudFormation can delete their users.

    Raises AwsFailure.
    """
    wanted = parse(manifest) if manifest else None
    if not isinstance(wanted, GroupManifest):
        return
    held = AdoptedKey.objects.held_by_aws().filter(membership__group__stack=stack)
    ending = held.exclude(membership__username__in=wanted.key_holders)
    for key in ending.select_related("membership__group__stack"):
        remove(key)


def remove(key: AdoptedKey) -> None:
    """Remove the key from AWS, and record that. Does nothing where it is gone. Raises AwsFailure."""
    membership = key.membership
    with aws.translated_errors():
        client = aws.client("iam", membership.group.stack.place)
        user = names.user(membership.group.slug, membership.username)
        try:
            client.delete_access_key(UserName=user, AccessKeyId=key.access_key_id)
        except ClientError as error:
            is_denied = code_of(error) in DENIED
            if code_of(error) != MISSING and not (is_denied and not IamLookups(client, membership.group.stack).has("user", user)):
                raise
    with transaction.atomic():
        there = AdoptedKey.objects.held_by_aws().filter(pk=key.pk)
        if there.update(state=AdoptedKey.State.REMOVED, removed_at=timezone.now()):
            target = f"{membership.user.email} in {membership.group.slug}"
            update_adopted_key_ids(membership.group.stack_id)
            record(Actor.system("worker"), "legacy.key_removed", target, before={"access_key_id": key.access_key_id})
