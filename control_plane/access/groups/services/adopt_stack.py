"""Adoption of a group or a storage stack that AWS holds and the database does not, from the manifest of its stack.

Needed after a restore of a backup that is older than the group. The rows match what AWS holds, so nothing is deployed.
"""

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.errors import Inactive
from control_plane.access.groups.models import Access, Analysis, Grant, Group, Membership
from control_plane.access.groups.services.groups import check_fields, check_free, name_taken_on_conflict
from control_plane.access.groups.services.keys import DEFAULT_OVERLAP
from control_plane.accounts.models import User
from control_plane.accounts.services.addresses import discard_unverified_logins
from control_plane.accounts.validation import fold_name, tidy_name
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import NotFound
from control_plane.deployments.models import Stack, StoredManifest
from stacks import names
from stacks.manifest import GroupManifest, PlatformManifest


def adopt_group(*, held: GroupManifest, status: str, name: str = "", people: Mapping[str, User], actor: Actor) -> Group:
    """Make the rows of a group that AWS holds: its stack at that generation, its grants, and memberships for these usernames.

    A username for which `people` has nobody gets no membership: the next deployment removes that access. In the transaction of
    the caller, who has checked that the actor may. Raises NameTaken, InvalidName, NotFound for an analysis, or Inactive.
    """
    slug, name = held.slug, tidy_name(name) or held.slug
    group = Group(slug=slug, name=name, folded_name=fold_name(name), suspended_at=timezone.now() if held.suspended else None)
    # AWS holds this slug already, maybe from before it was reserved.
    check_fields(group, exclude=["stack", "folded_name", "slug"])
    analyses = {
        analysis.bucket: analysis for analysis in Analysis.objects.filter(bucket__in=[grant.bucket for grant in held.analyses])
    }
    if missing := [grant.bucket for grant in held.analyses if grant.bucket not in analyses]:
        raise NotFound(
            f"The group uses {', '.join(missing)}, for which the database has no analysis. Nothing was changed; take over the "
            "storage stack with that bucket first, or have the group removed."
        )
    refuse_inactive(people.values())
    with transaction.atomic(), name_taken_on_conflict(f"The slug {slug!r} or the name {name!r}"):
        check_free(slug, name)
        group.stack = _stack(held, status, name)
        group.save()
        discard_unverified_logins(list(people.values()), actor=actor)
        adopt_members(group, held, people, actor)
        for grant in held.analyses:
            Grant.objects.create(
                group=group,
                analysis=analyses[grant.bucket],
                level=grant.access,
                added_generation=held.generation,
                added_by=actor.label,
            )
        after = {"slug": slug, "name": name, "generation": held.generation, "members": sorted(people)}
        record(actor, "group.take_over", f"group {slug}", after=after)
    return group


def refuse_inactive(people: Iterable[User]) -> None:
    """Raise Inactive if one of these people cannot sign in."""
    if inactive := [user.email for user in people if not user.is_active]:
        raise Inactive(f"{', '.join(inactive)}: the account is not active. Nothing was changed; activate it first.")


def adopt_storage_stack(*, held: PlatformManifest, status: str, actor: Actor) -> Stack:
    """Make the rows of a storage stack that AWS holds, and an analysis for each of its buckets, named after the bucket.

    In the transaction of the caller, who has checked that the actor may. Raises NameTaken.
    """
    with transaction.atomic(), name_taken_on_conflict(f"The stack {held.stack_name}, or an analysis in it,"):
        stack = _stack(held, status, f"storage stack {held.number}")
        for bucket in held.buckets:
            slug = bucket[: names.SLUG.longest].rstrip("-")
            analysis = Analysis(slug=slug, name=bucket, bucket=bucket, stack=stack, added_generation=held.generation)
            check_fields(analysis, exclude=["stack"])
            analysis.save()
        after = {"buckets": list(held.buckets), "generation": held.generation}
        record(actor, "platform.take_over", stack.name, after=after)
    return stack


def _stack(held: GroupManifest | PlatformManifest, status: str, title: str) -> Stack:
    stack = Stack.objects.create(
        name=held.stack_name,
        kind=Stack.Kind.GROUP if isinstance(held, GroupManifest) else Stack.Kind.PLATFORM,
        title=title,
        account=held.account,
        region=held.region,
        generation=held.generation,
        deployed_generation=held.generation,
        status=status,
    )
    StoredManifest.objects.create(stack=stack, generation=held.generation, text=held.to_json())
    return stack


def adopt_members(group: Group, held: GroupManifest, people: Mapping[str, User], actor: Actor) -> None:
    """Make the memberships of these people, by username, as AWS holds them, for a caller that has checked that the actor may."""
    now = timezone.now()
    for member in held.members:
        if (user := people.get(member.username)) is None:
            continue
        Membership.objects.create(
            group=group,
            user=user,
            username=member.username,
            access=Access(member.access),
            key_serial=member.key_serial,
            previous_key=member.previous_key or "",
            # The date on which it was to end is lost.
            previous_key_until=now + DEFAULT_OVERLAP if member.previous_key else None,
            suspended_at=now if member.suspended else None,
            added_generation=held.generation,
            added_by=actor.label,
        )
        after = {"access": member.access, "username": member.username}
        record(actor, "member.take_over", f"{user.email} in {group.slug}", after=after)
