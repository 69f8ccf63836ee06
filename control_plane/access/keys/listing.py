"""Members' keys for pages and commands: a fixed number of queries, whatever the number of keys."""

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
    """One member's keys: the present one, and the one before as long as it is there. What IAM said last may be missing."""

    membership: Membership
    asked_at: datetime | None
    present: KeyUse | None
    previous: KeyUse | None

    @property
    def is_being_made(self) -> bool:
        """Whether AWS does not hold the present key yet."""
        return not key_is_in_force(self.membership)

    @property
    def made_at(self) -> datetime | None:
        """When the present key was made, as far as it is known."""
        return self.present.made_at if self.present else self.asked_at

    @property
    def is_unused(self) -> bool:
        """Whether the present key works, and nobody used it for so long that it had better go."""
        return not self.is_being_made and self.present is not None and is_unused(self.present)

    @property
    def old_key(self) -> str:
        """What became of the key before, in a person's words; empty where there is none."""
        return PreviousKey(self.membership.previous_key).label if self.membership.previous_key else ""


@dataclass(frozen=True)
class GroupKeys:
    """How a group's keys stand at a glance."""

    holders: int
    unused: int
    old: int
    check: KeyCheck | None
    unused_days: int


def is_unused(use: KeyUse) -> bool:
    """As `KeyUseQuerySet.unused_since`, for one key that is at hand."""
    return use.is_active and (use.last_used_at or use.made_at) < unused_before()


def unused_before(days: int | None = None) -> datetime:
    """A key that was last used before this moment is unused; the site's own number of days, unless another is given."""
    return timezone.now() - timedelta(days=config().key_unused_days if days is None else days)


def holders(group: Group) -> GenerationScopedQuerySet:
    """The memberships of a group that hold a key, or are being given one."""
    return group.memberships.wanted().filter(access=Access.KEYS).select_related("user").order_by("user__email")


def held_keys(group: Group, memberships: Sequence[Membership]) -> list[HeldKeys]:
    """The keys of these memberships of the group, in two queries."""
    uses = {(use.membership_id, use.serial): use for use in KeyUse.objects.filter(membership__in=memberships)}
    for membership in memberships:
        membership.group = group
    asked = _asked_at(group, memberships)
    return [
        HeldKeys(
            membership=one,
            asked_at=asked.get(key_generation(one)),
            present=uses.get((one.pk, one.key_serial)),
            previous=uses.get((one.pk, one.key_serial - 1)) if one.previous_key else None,
        )
        for one in memberships
    ]


def group_keys(group: Group) -> GroupKeys:
    """How the group's keys stand, in three queries."""
    counted = holders(group).order_by().aggregate(holders=Count("pk"), old=Count("pk", filter=~Q(previous_key="")))
    return GroupKeys(
        holders=counted["holders"],
        unused=unused_keys(group=group).count(),
        old=counted["old"],
        check=KeyCheck.objects.filter(group=group).first(),
        unused_days=config().key_unused_days,
    )


def unused_keys(*, group: Group | None = None, days: int | None = None) -> KeyUseQuerySet:
    """The keys that work and were not used for so many days, by what IAM said last: those never used come first."""
    found = KeyUse.objects.of_members().unused_since(unused_before(days))
    if group is not None:
        found = found.filter(membership__group=group)
    return found.select_related("membership__group", "membership__user")


def _asked_at(group: Group, memberships: Sequence[Membership]) -> dict[int, datetime]:
    since = {key_generation(one) for one in memberships}
    manifests = StoredManifest.objects.filter(stack=group.stack_id, generation__in=since)
    return dict(manifests.values_list("generation", "created_at"))
