"""Checks of members' access keys with IAM: which exist, how old, and last used when. For workers and the terminal.

The web process has no right to ask IAM: pages show what a check kept.
"""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.services.keys import key_is_in_force
from control_plane.access.keys.models import KeyCheck, KeyUse
from control_plane.base import aws
from control_plane.base.aws import AwsFailure
from control_plane.deployments.iam_lookups import IamLookups
from stacks import names

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import AccessKeyMetadataTypeDef

logger = logging.getLogger("cohort.keys")

# Fields that IAM's answer updates; the rest of the row stays.
_REFRESHED_FIELDS = ["membership", "serial", "is_active", "made_at", "last_used_at", "last_service", "checked_at"]
# IAM answers some twenty requests a second, for everybody in the account: the SDK slows down where it says so.


def check_group(group: Group) -> int:
    """Read the keys of a group's members from IAM, and keep them. Returns how many keys there are. Raises AwsFailure."""
    now = timezone.now()
    KeyCheck.objects.update_or_create(group=group, defaults={"asked_at": now})
    try:
        uses = _read_uses(group)
    except AwsFailure as error:
        KeyCheck.objects.filter(group=group).update(error=str(error)[:400])
        logger.warning("%s: IAM did not tell of its keys: %s", group, error)
        raise
    with transaction.atomic():
        # An upsert, so that two checks at once do not fail.
        KeyUse.objects.bulk_create(uses, update_conflicts=True, unique_fields=["access_key_id"], update_fields=_REFRESHED_FIELDS)
        KeyUse.objects.filter(membership__group=group).exclude(access_key_id__in=[use.access_key_id for use in uses]).delete()
        KeyCheck.objects.filter(group=group).update(error="", finished_at=timezone.now())
    return len(uses)


def _read_uses(group: Group) -> list[KeyUse]:
    holders = Membership.objects.wanted().filter(group=group, access=Access.KEYS).select_related("group__stack").order_by("pk")
    client: IAMClient = aws.iam(group.stack.place)
    lookups, uses = IamLookups(client, group.stack), []
    with aws.translated_errors():
        for membership in holders:
            keys = _keys_of(client, lookups, names.user(group.slug, membership.username))
            uses += [_use_of(client, key, membership, serial) for serial, key in _numbered(membership, keys)]
    return uses


def _keys_of(client: "IAMClient", lookups: IamLookups, user: str) -> list["AccessKeyMetadataTypeDef"]:
    """Return the user's keys, newest first; none where AWS has no such user, not yet or not any more."""
    keys = lookups.find(lambda: client.list_access_keys(UserName=user)["AccessKeyMetadata"]) or []
    return sorted(keys, key=lambda key: key["CreateDate"], reverse=True)


def _numbered(
    membership: Membership, keys: Iterable["AccessKeyMetadataTypeDef"]
) -> Iterable[tuple[int, "AccessKeyMetadataTypeDef"]]:
    """Return each key with its serial: the newest is the present key, or the one before while that is still being made."""
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
