"""Listings of members' keys for pages and commands, in a fixed number of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.utils import timezone

from control_plane.access.groups.models import Access, GenerationScopedQuerySet, Group, Membership, PreviousKey
from control_plane.access.groups.services.keys import key_generation, key_is_in_force
from control_plane.access.keys.models import KeyCheck, KeyUse, KeyUseQuerySet
from control_plane.base.config import config
from control_plane.deployments.models import StoredManifest


@dataclass(frozen=True)
class HeldKeys:
    """A member's present key, and the one before while it exists. Either is None until IAM has told of it."""

    membership: Membership
    asked_at: datetime | None
    present: KeyUse | None
    previous: KeyUse | None

    @property
    def is_being_made(self) -> bool:
        """True until AWS holds the present key."""
        return not key_is_in_force(self.membership)

    @property
    def made_at(self) -> datetime | None:
        """The time at which the present key was made, or asked for where IAM has not told of it."""
        return self.present.made_at if self.present else self.asked_at

    @property
    def is_unused(self) -> bool:
        """True if the present key works and was unused for so long that it should be removed."""
        return not self.is_being_made and self.present is not None and is_unused(self.present)

    @property
    def old_key(self) -> str:
        """The state of the key before, in words; empty where there is none."""
        return PreviousKey(self.membership.previous_key).label if self.membership.previous_key else ""


@dataclass(frozen=True)
class GroupKeySummary:
    """Summary of a group's keys: how many hold one, are unused, or have an old one."""

    holders: int
    unused: int
    old: int
    check: KeyCheck | None
    unused_days: int


def is_unused(use: KeyUse) -> bool:
    """Return whether a loaded key is unused; as `KeyUseQuerySet.unused_since` does in the database."""
    return use.is_active and (use.last_used_at or use.made_at) < unused_cutoff()


def unused_cutoff(days: int | None = None) -> datetime:
    """Return the moment before which a key's last use makes it unused: `days` ago, by default the site's number of days."""
    return timezone.now() - timedelta(days=config().key_unused_days if days is None else days)


def key_holders(group: Group) -> GenerationScopedQuerySet:
    """Return the memberships of a group that hold a key, or are being given one."""
    return group.memberships.wanted().filter(access=Access.KEYS).select_related("user").order_by("user__email")


def held_keys(group: Group, memberships: Sequence[Membership]) -> list[HeldKeys]:
    """Return the keys of these memberships of the group, in two queries."""
    uses = {(use.membership_id, use.serial): use for use in KeyUse.objects.filter(membership__in=memberships)}
    for membership in memberships:
        membership.group = group
    asked = _asked_at(group, memberships)
    return [
        HeldKeys(
            membership=membership,
            asked_at=asked.get(key_generation(membership)),
            present=uses.get((membership.pk, membership.key_serial)),
            previous=uses.get((membership.pk, membership.key_serial - 1)) if membership.previous_key else None,
        )
        for membership in memberships
    ]


def group_key_summary(group: Group) -> GroupKeySummary:
    """Summarise the group's keys, in three queries."""
    counted = key_holders(group).order_by().aggregate(holders=Count("pk"), old=Count("pk", filter=~Q(previous_key="")))
    return GroupKeySummary(
        holders=counted["holders"],
        unused=unused_keys(group=group).count(),
        old=counted["old"],
        check=KeyCheck.objects.filter(group=group).first(),
        unused_days=config().key_unused_days,
    )


def unused_keys(*, group: Group | None = None, days: int | None = None) -> KeyUseQuerySet:
    """Return the active keys not used for so many days, by what IAM said last: those never used come first."""
    keys = KeyUse.objects.of_members().unused_since(unused_cutoff(days))
    if group is not None:
        keys = keys.filter(membership__group=group)
    return keys.select_related("membership__group", "membership__user")


def _asked_at(group: Group, memberships: Sequence[Membership]) -> dict[int, datetime]:
    since = {key_generation(membership) for membership in memberships}
    manifests = StoredManifest.objects.filter(stack=group.stack_id, generation__in=since)
    return dict(manifests.values_list("generation", "created_at"))
