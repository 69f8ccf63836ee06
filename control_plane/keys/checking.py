"""Asking IAM about members' access keys: which there are, how old, and last used when. For workers and the terminal.

The web process has no right to ask IAM: pages show what was found here.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from control_plane import aws
from control_plane.aws import AwsFailure
from control_plane.deployments.iam_lookups import Lookups
from control_plane.groups.models import Access, Group, Membership
from control_plane.groups.services.keys import key_is_in_force
from control_plane.keys.models import KeyCheck, KeyUse
from control_plane.keys.tasks import check_group_keys
from stacks.manifest import names

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import AccessKeyMetadataTypeDef

logger = logging.getLogger("cohort.keys")

CHECK_AGE = timedelta(hours=20)
# Groups that one sweep has checked; a group may have hundreds of keys, and each takes two requests.
MOST_AT_ONCE = 20
# One that came to nothing is made again sooner.
FAILED_AGE = timedelta(hours=1)
# What IAM says of a key; the rest of the row stays.
_SAID = ["membership", "serial", "is_active", "made_at", "last_used_at", "last_service", "checked_at"]
# IAM answers some twenty requests a second, for everybody in the account: the SDK slows down where it says so.


def start_due_checks() -> int:
    """Have workers ask about the groups that nobody asked about for a day. Returns how many groups."""
    forget_ended()
    now = timezone.now()
    holders = Membership.objects.wanted().filter(access=Access.KEYS)
    due = Q(asked_at__lt=now - CHECK_AGE) | (Q(asked_at__lt=now - FAILED_AGE) & ~Q(error=""))
    groups = Group.objects.filter(pk__in=holders.values("group"))
    groups = groups.filter(Q(key_check__isnull=True) | Q(key_check__in=KeyCheck.objects.filter(due)))
    started = 0
    for pk in groups.order_by("key_check__asked_at", "pk").values_list("pk", flat=True)[:MOST_AT_ONCE]:
        with transaction.atomic():
            # Of several workers, whoever changes the row has it checked.
            check, is_new = KeyCheck.objects.get_or_create(group_id=pk, defaults={"asked_at": now})
            if is_new or KeyCheck.objects.filter(due, pk=check.pk).update(asked_at=now, error=""):
                check_group_keys.enqueue(pk)
                started += 1
    return started


def check_group(group: Group) -> int:
    """Ask IAM about the keys of a group's members and keep what it says. Returns how many keys there are. Raises AwsFailure."""
    now = timezone.now()
    KeyCheck.objects.update_or_create(group=group, defaults={"asked_at": now})
    try:
        found = _ask(group)
    except AwsFailure as error:
        KeyCheck.objects.filter(group=group).update(error=str(error)[:400])
        logger.warning("%s: IAM did not tell of its keys: %s", group, error)
        raise
    with transaction.atomic():
        # Two checks at once do not get into each other's way.
        KeyUse.objects.bulk_create(found, update_conflicts=True, unique_fields=["access_key_id"], update_fields=_SAID)
        KeyUse.objects.filter(membership__group=group).exclude(access_key_id__in=[use.access_key_id for use in found]).delete()
        KeyCheck.objects.filter(group=group).update(error="", finished_at=timezone.now())
    return len(found)


def forget_ended() -> None:
    """Remove what is known of the keys of memberships that have ended: AWS holds none of them."""
    KeyUse.objects.filter(membership__removed_generation__lte=F("membership__group__stack__deployed_generation")).delete()


def _ask(group: Group) -> list[KeyUse]:
    holders = Membership.objects.wanted().filter(group=group, access=Access.KEYS).select_related("group__stack").order_by("pk")
    client: IAMClient = aws.iam(group.stack.place)
    lookups, found = Lookups(client, group.stack), []
    with aws.explained():
        for membership in holders:
            keys = _keys_of(client, lookups, names.user(group.slug, membership.username))
            found += [_use_of(client, key, membership, serial) for serial, key in _numbered(membership, keys)]
    return found


def _keys_of(client: "IAMClient", lookups: Lookups, user: str) -> list["AccessKeyMetadataTypeDef"]:
    """The user's keys, newest first; none where AWS has no such user, not yet or not any more."""
    keys = lookups.find(lambda: client.list_access_keys(UserName=user)["AccessKeyMetadata"]) or []
    return sorted(keys, key=lambda key: key["CreateDate"], reverse=True)


def _numbered(
    membership: Membership, keys: Iterable["AccessKeyMetadataTypeDef"]
) -> Iterable[tuple[int, "AccessKeyMetadataTypeDef"]]:
    """Each key with its serial: the newest is the present one, or the one before where that is still being made."""
    newest = membership.key_serial if key_is_in_force(membership) else membership.key_serial - 1
    return ((max(1, newest - back), key) for back, key in enumerate(keys))


def _use_of(client: "IAMClient", key: "AccessKeyMetadataTypeDef", membership: Membership, serial: int) -> KeyUse:
    used = client.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
    # A key that was never used has no date, and N/A for the rest (IAM API reference, AccessKeyLastUsed).
    last_used_at = used.get("LastUsedDate")
    return KeyUse(
        membership=membership,
        serial=serial,
        access_key_id=key["AccessKeyId"],
        is_active=key["Status"] == "Active",
        made_at=key["CreateDate"],
        last_used_at=last_used_at,
        last_service=used["ServiceName"] if last_used_at else "",
        checked_at=timezone.now(),
    )
