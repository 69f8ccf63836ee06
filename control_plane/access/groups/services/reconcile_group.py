"""Bringing a group that the database knows to what AWS holds of it, where that was changed after the backup that was restored.

AWS comes before the backup. What was asked for here since the restore comes before AWS: it stays a wish, for the deployment that
follows. What differs is worked out first, so that it can be told before anybody decides.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from control_plane.access.groups.errors import AlreadyMember
from control_plane.access.groups.models import Access, Analysis, Grant, Group, Membership
from control_plane.access.groups.services.adopt_stack import make_members, refuse_inactive
from control_plane.access.groups.services.keys import USUAL_OVERLAP
from control_plane.access.groups.services.manifests import previous_manifest
from control_plane.accounts.models import User
from control_plane.accounts.services.addresses import discard_unverified_logins
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.deployments.models import Deployment, Stack
from stacks.manifest import AnalysisGrant, GroupManifest, Member

# What a manifest's member and a membership both say.
FIELDS = ("access", "key_serial", "previous_key", "suspended")
# Whom a sentence names; the rest is told as a number.
MAX_NAMED = 5


@dataclass(frozen=True)
class Differences:
    """What AWS holds of a group otherwise than the backup has it."""

    # The generation that was wanted when the backup was made.
    backup: int
    # Has anything been asked for here since?
    has_wishes: bool
    unknown: tuple[Member, ...]
    # Usernames that AWS holds though they were removed here before the backup.
    removed_here: tuple[str, ...]
    gone: tuple[Membership, ...]
    changed: tuple[tuple[Membership, Member], ...]
    # Members without a key, of whom AWS does not tell.
    untold: int
    gone_grants: tuple[Grant, ...]
    new_grants: tuple[AnalysisGrant, ...]
    unknown_buckets: tuple[str, ...]
    suspended: bool | None

    @property
    def sentences(self) -> list[str]:
        """What becomes of the database, but for the members whom it does not know."""
        return list(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if self.gone:
            yield (
                f"Removed after the backup, so they stay out: {_listed([one.user.email for one in self.gone])}. "
                "Add them again afterwards if they are to have access."
            )
        if self.changed:
            who = _listed([one.user.email for one, _ in self.changed])
            yield f"Their access, key or suspension was changed, and becomes as AWS holds it: {who}."
        if self.gone_grants:
            yield f"Analyses that the group lost or holds otherwise: {_listed([one.analysis.slug for one in self.gone_grants])}."
        if self.new_grants:
            yield f"Buckets that the group is given: {_listed([f'{one.bucket} ({one.access})' for one in self.new_grants])}."
        if self.unknown_buckets:
            yield f"No analysis here has these buckets, so the group loses them: {_listed(self.unknown_buckets)}."
        if self.suspended is not None:
            yield f"The group is {'suspended' if self.suspended else 'no longer suspended'}, as on AWS."
        if self.untold:
            yield (
                f"AWS does not tell of members without a key ({self.untold} here), since their manifest is not published any more. "
                "They stay as the backup has them: remove whoever was removed since."
            )
        if self.has_wishes:
            yield "What was asked for here since the restore is deployed on top of that."


def differences(group: Group, held: GroupManifest, *, names_everybody: bool) -> Differences:
    """Compare a group with what AWS holds of it. `names_everybody` says whether that includes members without a key."""
    stack = group.stack
    backup = stack.deployed_generation if stack.known_generation is None else stack.known_generation
    base = previous_manifest(stack, backup + 1)
    rows = {one.username: one for one in group.memberships.select_related("user").order_by("user__email")}
    theirs = {one.username: one for one in held.members}
    before = {one.username: one for one in base.members} if base else {}
    gone, changed, untold = [], [], 0
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
            untold += 1
    ended = {name for name, row in rows.items() if row.removed_generation is not None and row.removed_generation <= backup}
    return Differences(
        backup=backup,
        has_wishes=stack.generation > backup or Deployment.objects.open().filter(stack=stack).exists(),
        unknown=tuple(one for one in held.members if one.username not in rows),
        removed_here=tuple(sorted(ended & theirs.keys())),
        gone=tuple(gone),
        changed=tuple(changed),
        untold=untold,
        suspended=_suspended(group, base, held, names_everybody=names_everybody),
        **_grants(group, held, backup),
    )


def catch_up(group: Group, found: Differences, held: GroupManifest, people: Mapping[str, User], actor: Actor) -> None:
    """Make the rows say what AWS holds, with these people for usernames that nobody here knows.

    In the caller's transaction, who has made sure that the actor may, and that the locked stack holds that generation by now
    (`aws_ahead.accept`). Raises Inactive or AlreadyMember.
    """
    refuse_inactive(people.values())
    discard_unverified_logins(list(people.values()), actor=actor)
    _put_wishes_after(group, found.backup)
    _end(group.memberships.filter(pk__in=[one.pk for one in found.gone]), held.generation)
    _end(group.grants.filter(pk__in=[one.pk for one in found.gone_grants]), held.generation)
    for row in found.gone:
        before = {"access": row.access, "username": row.username, "is_manager": row.is_manager}
        record(actor, "member.remove", f"{row.user.email} in {group.slug}", before=before, as_on_aws=held.generation)
    for row, wanted in found.changed:
        _change(group, row, wanted, found.backup, held.generation, actor)
    _make_members(group, found, held, people, actor)
    analyses = {one.bucket: one for one in Analysis.objects.filter(bucket__in=[grant.bucket for grant in found.new_grants])}
    for grant in found.new_grants:
        given = {"level": grant.access, "added_generation": held.generation, "added_by": actor.label}
        Grant.objects.create(group=group, analysis=analyses[grant.bucket], **given)
    if found.suspended is not None:
        group.suspended_at = timezone.now() if found.suspended else None
        group.save(update_fields=["suspended_at"])
    after = {"generation": held.generation, "members": sorted(people), "told": found.sentences}
    record(actor, "group.take_over", f"group {group.slug}", before={"generation": found.backup}, after=after)


def _merged(row: Membership, base: Member | None, theirs: Member) -> Member:
    """What AWS holds of a member, but for what was asked for here since the restore: what differs from the backup's manifest."""
    mine = _as_member(row)
    base = base or mine
    fields = {name: getattr(theirs if getattr(mine, name) == getattr(base, name) else mine, name) for name in FIELDS}
    # A key that was replaced here is another one than AWS holds, however often it was replaced there.
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
    """Whether the group is to be suspended; None where that stays as it is here."""
    mine = group.suspended_at is not None
    # A template shows it by what the holders of keys are denied.
    is_told = names_everybody or any(one.access == "keys" for one in held.members)
    if not is_told or held.suspended == mine or (base is not None and base.suspended != mine):
        return None
    return held.suspended


def _grants(group: Group, held: GroupManifest, backup: int) -> dict[str, Any]:
    rows = list(group.grants.filter(analysis__unmade_reason="").select_related("analysis"))
    wishes = {one.analysis.bucket for one in rows if max(one.added_generation, one.removed_generation or 0) > backup}
    mine = {one.analysis.bucket: one for one in rows if one.removed_generation is None and one.analysis.bucket not in wishes}
    theirs = {one.bucket: one.access for one in held.analyses}
    new = [
        one
        for one in held.analyses
        if one.bucket not in wishes and not (one.bucket in mine and mine[one.bucket].level == one.access)
    ]
    offered = set(Analysis.objects.offered().filter(bucket__in=[one.bucket for one in new]).values_list("bucket", flat=True))
    return {
        "gone_grants": tuple(one for bucket, one in mine.items() if theirs.get(bucket) != one.level),
        "new_grants": tuple(one for one in new if one.bucket in offered),
        "unknown_buckets": tuple(one.bucket for one in new if one.bucket not in offered),
    }


def _put_wishes_after(group: Group, backup: int) -> None:
    """Have what was asked for since the restore come with the next generation: what AWS holds by now is none of it."""
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
        # When it was to end is not known any more.
        until = now + USUAL_OVERLAP if wanted.previous_key else None
        changes |= {"previous_key": wanted.previous_key or "", "previous_key_until": until}
    if wanted.suspended != mine.suspended:
        changes["suspended_at"] = now if wanted.suspended else None
    has_new_key = (wanted.access, wanted.key_serial) != (mine.access, mine.key_serial)
    if has_new_key and (row.key_generation or 0) <= backup:
        changes["key_generation"] = generation
    Membership.objects.filter(pk=row.pk).update(**changes)
    told = {"before": dict(zip(FIELDS, _state(mine), strict=True)), "after": dict(zip(FIELDS, _state(wanted), strict=True))}
    record(actor, "member.take_over", f"{row.user.email} in {group.slug}", **told)


def _make_members(group: Group, found: Differences, held: GroupManifest, people: Mapping[str, User], actor: Actor) -> None:
    """Make the memberships. Whoever was added here anew since the restore gets their own of before instead."""
    there = {one.user_id: one for one in Membership.objects.wanted().filter(group=group, user__in=people.values())}
    if twice := sorted(user.email for user in people.values() if user.pk in there and not _is_wish(there[user.pk], found)):
        raise AlreadyMember(f"{', '.join(twice)}: in {group.name} already, by another username. Nothing was changed.")
    _end(group.memberships.filter(pk__in=[one.pk for one in there.values()]), held.generation)
    make_members(group, held, people, actor)
    for one in there.values():
        mine = Membership.objects.wanted().filter(group=group, user=one.user_id)
        mine.update(is_manager=one.is_manager, ends_at=one.ends_at)


def _is_wish(row: Membership, found: Differences) -> bool:
    return row.added_generation > found.backup


def _end(rows: QuerySet[Any], generation: int) -> None:
    rows.update(removed_generation=generation, removed_at=timezone.now())


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - MAX_NAMED} more" if len(words) > MAX_NAMED else ""
    return f"{', '.join(words[:MAX_NAMED])}{more}"
