"""Reconciliation of a group with AWS, where it was changed after the backup that was restored.

AWS takes precedence over the backup. Changes requested here since the restore take precedence over AWS: they stay wishes, for
the deployment that follows. The differences are computed first, so that they can be shown before anybody decides.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from control_plane.access.groups.errors import AlreadyMember
from control_plane.access.groups.models import Access, Analysis, Grant, Group, Membership
from control_plane.access.groups.services.adopt_stack import adopt_members, refuse_inactive
from control_plane.access.groups.services.keys import DEFAULT_OVERLAP
from control_plane.access.groups.services.manifests import previous_manifest
from control_plane.accounts.models import User
from control_plane.accounts.services.addresses import discard_unverified_logins
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.deployments.models import Deployment, Stack
from stacks.manifest import AnalysisGrant, GroupManifest, Member

# Fields that a manifest's member and a membership share.
FIELDS = ("access", "key_serial", "previous_key", "suspended")
# A sentence names so many people; the rest is a number.
MAX_NAMED = 5


@dataclass(frozen=True)
class Differences:
    """Differences of a group between AWS and the backup."""

    # The generation that was wanted when the backup was made.
    backup: int
    # Has any change been requested here since?
    has_wishes: bool
    unknown: tuple[Member, ...]
    # Usernames that AWS holds though they were removed here before the backup.
    removed_here: tuple[str, ...]
    gone: tuple[Membership, ...]
    changed: tuple[tuple[Membership, Member], ...]
    # Number of members without a key, whom AWS does not list.
    unlisted: int
    gone_grants: tuple[Grant, ...]
    new_grants: tuple[AnalysisGrant, ...]
    unknown_buckets: tuple[str, ...]
    suspended: bool | None

    @property
    def sentences(self) -> list[str]:
        """Changes to the database in words, but for the members whom it does not know."""
        return list(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if self.gone:
            yield (
                f"Removed after the backup, so they stay out: {_listed([row.user.email for row in self.gone])}. "
                "Add them again afterwards if they are to have access."
            )
        if self.changed:
            addresses = _listed([row.user.email for row, _ in self.changed])
            yield f"Their access, key or suspension was changed, and becomes as AWS holds it: {addresses}."
        if self.gone_grants:
            slugs = _listed([grant.analysis.slug for grant in self.gone_grants])
            yield f"Analyses that the group lost or holds otherwise: {slugs}."
        if self.new_grants:
            yield f"Buckets that the group is given: {_listed([f'{grant.bucket} ({grant.access})' for grant in self.new_grants])}."
        if self.unknown_buckets:
            yield f"No analysis here has these buckets, so the group loses them: {_listed(self.unknown_buckets)}."
        if self.suspended is not None:
            yield f"The group is {'suspended' if self.suspended else 'no longer suspended'}, as on AWS."
        if self.unlisted:
            yield (
                f"AWS does not tell of members without a key ({self.unlisted} here), since their manifest is not published any "
                "more. They stay as the backup has them: remove whoever was removed since."
            )
        if self.has_wishes:
            yield "What was asked for here since the restore is deployed on top of that."


def find_differences(group: Group, held: GroupManifest, *, names_everybody: bool) -> Differences:
    """Compare a group with what AWS holds of it. `names_everybody` tells if that lists members without a key too."""
    stack = group.stack
    backup = stack.deployed_generation if stack.known_generation is None else stack.known_generation
    base = previous_manifest(stack, backup + 1)
    rows = {row.username: row for row in group.memberships.select_related("user").order_by("user__email")}
    theirs = {member.username: member for member in held.members}
    before = {member.username: member for member in base.members} if base else {}
    gone, changed, unlisted = [], [], 0
    for row in rows.values():
        if row.removed_generation is not None or row.added_generation > backup:
            continue
        if row.username in theirs:
            wanted = _merged(row, before.get(row.username), theirs[row.username])
            if _state(wanted) != _state(_as_member(row)):
                changed.append((row, wanted))
        elif names_everybody or before.get(row.username, _as_member(row)).access == "keys":
            gone.append(row)
        else:
            unlisted += 1
    ended = {name for name, row in rows.items() if row.removed_generation is not None and row.removed_generation <= backup}
    return Differences(
        backup=backup,
        has_wishes=stack.generation > backup or Deployment.objects.open().filter(stack=stack).exists(),
        unknown=tuple(member for member in held.members if member.username not in rows),
        removed_here=tuple(sorted(ended & theirs.keys())),
        gone=tuple(gone),
        changed=tuple(changed),
        unlisted=unlisted,
        suspended=_suspended(group, base, held, names_everybody=names_everybody),
        **_grants(group, held, backup),
    )


def apply_differences(
    group: Group, differences: Differences, held: GroupManifest, people: Mapping[str, User], actor: Actor
) -> None:
    """Make the rows match what AWS holds, with these people for usernames that are unknown here.

    In the transaction of the caller, who has checked that the actor may, and that the locked stack holds that generation by now
    (`aws_ahead.accept`). Raises Inactive or AlreadyMember.
    """
    refuse_inactive(people.values())
    discard_unverified_logins(list(people.values()), actor=actor)
    _put_wishes_after(group, differences.backup)
    _end(group.memberships.filter(pk__in=[row.pk for row in differences.gone]), held.generation)
    _end(group.grants.filter(pk__in=[grant.pk for grant in differences.gone_grants]), held.generation)
    for row in differences.gone:
        before = {"access": row.access, "username": row.username, "is_manager": row.is_manager}
        record(actor, "member.remove", f"{row.user.email} in {group.slug}", before=before, as_on_aws=held.generation)
    for row, wanted in differences.changed:
        _change(group, row, wanted, differences.backup, held.generation, actor)
    _adopt_members(group, differences, held, people, actor)
    buckets = [grant.bucket for grant in differences.new_grants]
    analyses = {analysis.bucket: analysis for analysis in Analysis.objects.filter(bucket__in=buckets)}
    for grant in differences.new_grants:
        given = {"level": grant.access, "added_generation": held.generation, "added_by": actor.label}
        Grant.objects.create(group=group, analysis=analyses[grant.bucket], **given)
    if differences.suspended is not None:
        group.suspended_at = timezone.now() if differences.suspended else None
        group.save(update_fields=["suspended_at"])
    after = {"generation": held.generation, "members": sorted(people), "told": differences.sentences}
    record(actor, "group.take_over", f"group {group.slug}", before={"generation": differences.backup}, after=after)


def _merged(row: Membership, base: Member | None, theirs: Member) -> Member:
    """Merge a member's fields three ways: as AWS holds them, but as they are here where they differ from the backup."""
    mine = _as_member(row)
    base = base or mine
    fields = {name: getattr(theirs if getattr(mine, name) == getattr(base, name) else mine, name) for name in FIELDS}
    # A key that was replaced here is never the one that AWS holds, however often it was replaced there.
    fields["key_serial"] = theirs.key_serial + mine.key_serial - base.key_serial
    if fields["access"] != "keys":
        fields["previous_key"] = None
    return theirs.model_copy(update=fields)


def _as_member(row: Membership) -> Member:
    held = {"key_serial": row.key_serial, "previous_key": row.previous_key or None, "suspended": row.suspended_at is not None}
    return Member.model_validate({"username": row.username, "access": Access(row.access).value, **held})


def _state(member: Member) -> tuple[Any, ...]:
    return tuple(getattr(member, name) for name in FIELDS)


def _suspended(group: Group, base: GroupManifest | None, held: GroupManifest, *, names_everybody: bool) -> bool | None:
    """Return whether the group is to be suspended; None where that stays as it is here."""
    mine = group.suspended_at is not None
    # A template shows it by the denials of key holders.
    is_known = names_everybody or any(member.access == "keys" for member in held.members)
    if not is_known or held.suspended == mine or (base is not None and base.suspended != mine):
        return None
    return held.suspended


def _grants(group: Group, held: GroupManifest, backup: int) -> dict[str, Any]:
    rows = list(group.grants.filter(analysis__unmade_reason="").select_related("analysis"))
    wishes = {row.analysis.bucket for row in rows if max(row.added_generation, row.removed_generation or 0) > backup}
    mine = {row.analysis.bucket: row for row in rows if row.removed_generation is None and row.analysis.bucket not in wishes}
    theirs = {grant.bucket: grant.access for grant in held.analyses}
    new = [
        grant
        for grant in held.analyses
        if grant.bucket not in wishes and not (grant.bucket in mine and mine[grant.bucket].level == grant.access)
    ]
    buckets = [grant.bucket for grant in new]
    offered = set(Analysis.objects.offered().filter(bucket__in=buckets).values_list("bucket", flat=True))
    return {
        "gone_grants": tuple(row for bucket, row in mine.items() if theirs.get(bucket) != row.level),
        "new_grants": tuple(grant for grant in new if grant.bucket in offered),
        "unknown_buckets": tuple(grant.bucket for grant in new if grant.bucket not in offered),
    }


def _put_wishes_after(group: Group, backup: int) -> None:
    """Move changes requested since the restore to the next generation: AWS holds none of them."""
    following = Stack.objects.get(pk=group.stack_id).generation + 1
    for rows, fields in (
        (group.memberships, ("added_generation", "removed_generation", "key_generation")),
        (group.grants, ("added_generation", "removed_generation")),
    ):
        for name in fields:
            rows.filter(**{f"{name}__gt": backup}).update(**{name: following})


def _change(group: Group, row: Membership, wanted: Member, backup: int, generation: int, actor: Actor) -> None:
    now, mine = timezone.now(), _as_member(row)
    changes: dict[str, Any] = {"access": wanted.access, "key_serial": wanted.key_serial}
    if wanted.previous_key != mine.previous_key:
        # The date on which it was to end is lost.
        until = now + DEFAULT_OVERLAP if wanted.previous_key else None
        changes |= {"previous_key": wanted.previous_key or "", "previous_key_until": until}
    if wanted.suspended != mine.suspended:
        changes["suspended_at"] = now if wanted.suspended else None
    has_new_key = (wanted.access, wanted.key_serial) != (mine.access, mine.key_serial)
    if has_new_key and (row.key_generation or 0) <= backup:
        changes["key_generation"] = generation
    Membership.objects.filter(pk=row.pk).update(**changes)
    change = {"before": dict(zip(FIELDS, _state(mine), strict=True)), "after": dict(zip(FIELDS, _state(wanted), strict=True))}
    record(actor, "member.take_over", f"{row.user.email} in {group.slug}", **change)


def _adopt_members(group: Group, differences: Differences, held: GroupManifest, people: Mapping[str, User], actor: Actor) -> None:
    """Make the memberships. A person who was added again here since the restore gets their former one back instead."""
    existing = {row.user_id: row for row in Membership.objects.wanted().filter(group=group, user__in=people.values())}
    members = [user for user in people.values() if user.pk in existing]
    if twice := sorted(user.email for user in members if not _is_wish(existing[user.pk], differences)):
        raise AlreadyMember(f"{', '.join(twice)}: in {group.name} already, by another username. Nothing was changed.")
    _end(group.memberships.filter(pk__in=[row.pk for row in existing.values()]), held.generation)
    adopt_members(group, held, people, actor)
    for row in existing.values():
        adopted = Membership.objects.wanted().filter(group=group, user=row.user_id)
        adopted.update(is_manager=row.is_manager, ends_at=row.ends_at)


def _is_wish(row: Membership, differences: Differences) -> bool:
    return row.added_generation > differences.backup


def _end(rows: QuerySet[Any], generation: int) -> None:
    rows.update(removed_generation=generation, removed_at=timezone.now())


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - MAX_NAMED} more" if len(words) > MAX_NAMED else ""
    return f"{', '.join(words[:MAX_NAMED])}{more}"
