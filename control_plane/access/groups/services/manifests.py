"""Manifests of groups and storage stacks, built from the database."""

import time
from datetime import timedelta

from django.utils import timezone

from control_plane.access.groups.models import Access, Analysis, Group, Membership
from control_plane.base.config import config
from control_plane.base.errors import LimitReached
from control_plane.deployments.models import Stack, StoredManifest
from stacks import names
from stacks.manifest import MAX_REVOKED, AnalysisGrant, GroupManifest, ManifestError, Member, PlatformManifest, parse
from stacks.parts import assign_parts

# A session lasts at most an hour; the second hour covers clocks that differ and a deployment that takes its time.
REVOKED_FOR = timedelta(hours=2)
# Longest session that Cohort opens: a cut-off older than this denies nobody anything.
MAX_SESSION_DURATION = timedelta(hours=1)


def group_manifest(group: Group, generation: int) -> GroupManifest:
    """Build the group's desired state now. Raises LimitReached where AWS could not hold it."""
    stack = group.stack
    revoked = _recently_removed(group)
    suspended = group.memberships.wanted().filter(suspended_at__isnull=False).count()
    members = list(group.memberships.wanted().order_by("username"))
    cut_off = {member.username: moment for member in members if (moment := cut_off_of(member)) and member.suspended_at is None}
    # Too many to name: everybody's sessions end, and present members get new ones.
    can_name = len(revoked) + suspended <= MAX_REVOKED
    if not can_name:
        all_cut_off: int | None = max(int(time.time()), *cut_off.values(), 0)
    else:
        all_cut_off = max(cut_off.values()) if len(revoked) + suspended + len(cut_off) > MAX_REVOKED else None
    parts = _parts(members, previous_manifest(stack, generation))
    try:
        return GroupManifest.build(
            generation=generation,
            account=stack.account,
            region=stack.region,
            slug=group.slug,
            members=tuple(
                Member(
                    username=member.username,
                    access=member.access,
                    key_serial=member.key_serial,
                    previous_key=member.previous_key or None,
                    part=parts.get(member.username, 0),
                    suspended=member.suspended_at is not None,
                    sessions_not_before=cut_off.get(member.username) if all_cut_off is None else None,
                )
                for member in members
            ),
            analyses=tuple(
                AnalysisGrant(bucket=grant.analysis.bucket, access=grant.level)
                # No right to a bucket that AWS could not make: another account may own it, and could read what is put there.
                for grant in group.grants.wanted()
                .filter(analysis__unmade_reason="")
                .select_related("analysis")
                .order_by("analysis__bucket")
            ),
            revoked=tuple(revoked) if can_name else (),
            sessions_not_before=all_cut_off,
            suspended=group.suspended_at is not None,
            retired=stack.is_retired,
        )
    except ManifestError as error:
        raise LimitReached(f"{error} Nothing was changed.") from error


def cut_off_of(member: Membership) -> int | None:
    """Return the cut-off of the member's sessions in unix seconds; None once no older session can be open."""
    moment = member.sessions_not_before
    return int(moment.timestamp()) if moment is not None and moment > timezone.now() - MAX_SESSION_DURATION else None


def previous_manifest(stack: Stack, generation: int) -> GroupManifest | None:
    """Return the group's last manifest before this generation; None if there is none."""
    before = StoredManifest.objects.filter(stack=stack, generation__lt=generation).order_by("-generation")
    text = before.values_list("text", flat=True).first()
    manifest = parse(text) if text else None
    return manifest if isinstance(manifest, GroupManifest) else None


def platform_manifest(
    stack: Stack, generation: int, origins: tuple[str, ...], earlier_versions_days: int | None
) -> PlatformManifest:
    """Build a storage stack's desired state now. Raises LimitReached where AWS could not hold it."""
    try:
        return PlatformManifest.build(
            generation=generation,
            account=stack.account,
            region=stack.region,
            number=names.storage_number(stack.name),
            buckets=tuple(Analysis.objects.wanted().filter(stack=stack).order_by("bucket").values_list("bucket", flat=True)),
            origins=origins,
            earlier_versions_days=earlier_versions_days,
        )
    except ManifestError as error:
        raise LimitReached(f"{error} Nothing was changed.") from error


def _parts(members: list[Membership], before: GroupManifest | None) -> dict[str, int]:
    """Assign each key holder to a part of the stack; holders keep the part that the manifest before gave them."""
    holders = [member.username for member in members if member.access == Access.KEYS]
    held = {member.username: member.part for member in before.members if member.access == "keys"} if before else {}
    return assign_parts(holders, held, config().cohort_holders_per_stack)


def _recently_removed(group: Group) -> list[str]:
    # Key holders too: Cohort's own pages open sessions of the group's role for every member.
    removed = Membership.objects.filter(group=group, removed_at__gt=timezone.now() - REVOKED_FOR)
    return list(removed.order_by("username").values_list("username", flat=True))
