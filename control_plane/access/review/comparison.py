"""Comparison of a group on AWS with its records: builds the review's lines. Makes no request to AWS."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from control_plane.access.groups.models import Access, AccessState, Grant, Group, Membership
from control_plane.access.review.effective_access import EffectiveAccess, Right, covers
from control_plane.access.review.iam_snapshot import IamSnapshot, Principal
from control_plane.access.review.models import DIFFERENCES, AccessEntry, Mark
from stacks import names

KeysByRight = dict[Right, set[str]]
# Longer lists of prefixes are cut: a person reads them.
MAX_PREFIXES_SHOWN = 12


@dataclass
class Comparison:
    """A group's rows, and the IAM snapshot that they are compared with."""

    group: Group
    memberships: Sequence[Membership]
    grants: Sequence[Grant]
    snapshot: IamSnapshot

    def principal_of(self, membership: Membership) -> Principal | None:
        """Return a membership's principal on AWS: its own user, or the group's role; None where AWS has none."""
        if membership.access == Access.FEDERATED:
            return self.snapshot.role
        return self.snapshot.users.get(names.user(self.group.slug, membership.username))

    def unexpected_users(self) -> list[Principal]:
        """Return the users without a membership: those in our path, and those from elsewhere in the IAM group."""
        holders = [membership for membership in self.memberships if membership.access == Access.KEYS]
        known = {names.user(self.group.slug, membership.username) for membership in holders}
        unknown = [user for name, user in self.snapshot.users.items() if name not in known]
        return [*unknown, *self.snapshot.foreign.values()]


def build_lines(comparison: Comparison) -> list[AccessEntry]:
    """Build a line for each membership and bucket, and for each unexpected user and bucket."""
    accesses: dict[str, EffectiveAccess] = {}
    lines: list[AccessEntry] = []
    for membership in comparison.memberships:
        membership.group = comparison.group
        principal = comparison.principal_of(membership)
        if principal is not None and principal.name not in accesses:
            accesses[principal.name] = principal.effective_access()
        lines += _membership_lines(comparison, membership, principal, accesses[principal.name] if principal else EffectiveAccess())
    for user in comparison.unexpected_users():
        lines += _unexpected_user_lines(comparison.group, user)
    return lines


def _membership_lines(
    comparison: Comparison, membership: Membership, principal: Principal | None, access: EffectiveAccess
) -> Iterable[AccessEntry]:
    is_denied = access.denies(membership.username) if membership.access == Access.FEDERATED else access.is_denied
    held = {} if is_denied else access.in_buckets()
    common = _common_marks(comparison.group, membership, is_there=principal is not None, is_denied=is_denied)
    name = principal.name if principal else _expected_name(comparison.group, membership)
    grants = {grant.analysis.bucket: grant for grant in comparison.grants}
    # A membership that is being added or removed is not compared with the group's grants: AWS may lag behind.
    is_settled = membership.access_state == AccessState.ACTIVE
    used = _last_use(principal) if membership.access == Access.KEYS else None
    for bucket in sorted({*grants, *held}) or [""]:
        grant, keys = grants.get(bucket), _rights_in(held, bucket)
        marks = list(common)
        if principal is not None and not is_denied and is_settled:
            marks += _grant_marks(comparison.group.slug, grant, keys, is_role=membership.access == Access.FEDERATED)
        elif keys and grant is None:
            marks.append(Mark.WIDER)
        yield _line(comparison.group, name, bucket, keys, marks, membership=membership, grant=grant, key_last_used_at=used)


def _rights_in(held: dict[str, KeysByRight], bucket: str) -> KeysByRight:
    """Return the rights in one bucket, given by its own name or by a pattern that covers it."""
    in_bucket: KeysByRight = {}
    for pattern, keys in held.items():
        if covers(pattern, bucket):
            for right, patterns in keys.items():
                in_bucket[right] = in_bucket.get(right, set()) | patterns
    return in_bucket


def _unexpected_user_lines(group: Group, principal: Principal) -> Iterable[AccessEntry]:
    access = principal.effective_access()
    for bucket, keys in sorted(access.in_buckets().items()) or [("", {})]:
        marks = [Mark.NOT_IN_DATABASE, *([Mark.DENIED] if access.is_denied else [])]
        yield _line(group, principal.name, bucket, keys, marks, key_last_used_at=_last_use(principal))


def _common_marks(group: Group, membership: Membership, *, is_there: bool, is_denied: bool) -> list[Mark]:
    """Return the marks that every line of a membership carries."""
    state, marks = membership.access_state, []
    if state == AccessState.ADDING:
        marks.append(Mark.ADDING)
    if state == AccessState.REMOVING:
        marks.append(Mark.REMOVING)
    if not is_there and state == AccessState.ACTIVE:
        marks.append(Mark.NOT_ON_AWS)
    is_suspended = membership.suspended_at is not None or group.suspended_at is not None
    if is_suspended:
        marks.append(Mark.SUSPENDED)
    if is_denied:
        marks.append(Mark.DENIED)
    # Until a pending deployment has run, AWS and the database are expected to differ on this.
    if group.stack.is_up_to_date and state == AccessState.ACTIVE and is_there:
        if is_suspended and not is_denied:
            marks.append(Mark.LETS_IN)
        if is_denied and not is_suspended:
            marks.append(Mark.DENIED_ONLY)
    return marks


def _grant_marks(slug: str, grant: Grant | None, held: KeysByRight, *, is_role: bool) -> list[Mark]:
    """Return the marks that compare the rights in one bucket with its grant."""
    if grant is None:
        return [Mark.WIDER]
    granted = granted_patterns(slug, writes=grant.level == Grant.Level.READ_WRITE, is_role=is_role)
    state, marks = grant.access_state, []
    if state == AccessState.ACTIVE and not held:
        return [Mark.NOT_ON_AWS]
    if not _within(held, granted):
        marks.append(Mark.WIDER)
    if state == AccessState.ACTIVE and not _within(granted, held):
        marks.append(Mark.NARROWER)
    return marks


def granted_patterns(slug: str, *, writes: bool, is_role: bool) -> KeysByRight:
    """Return the rights and key patterns that a grant gives in a bucket, as documented.

    Computed independently of what is deployed.
    """
    folder = f"{slug}/*"
    granted: KeysByRight = {Right.LIST: {folder}, Right.READ: {folder}}
    if writes:
        writable = {f"{slug}/{name}/*" for name in names.WRITABLE_FOLDERS}
        granted |= {Right.WRITE: writable, Right.DELETE: {*writable, f"{slug}/results/*"}}
        if is_role:
            # Undoing a deletion ends a version, in sessions that never leave the server.
            granted[Right.PURGE] = {folder}
    return granted


def _within(inner: KeysByRight, outer: KeysByRight) -> bool:
    return all(any(covers(wide, keys) for wide in outer.get(right, ())) for right, patterns in inner.items() for keys in patterns)


def _line(
    group: Group,
    principal: str,
    bucket: str,
    held: KeysByRight,
    marks: Sequence[Mark],
    *,
    membership: Membership | None = None,
    grant: Grant | None = None,
    key_last_used_at: datetime | None = None,
) -> AccessEntry:
    return AccessEntry(
        group=group,
        membership=membership,
        grant=grant,
        principal=principal[:256],
        bucket=bucket[:128],
        prefix=_describe_keys(set().union(*held.values()) if held else set()),
        can_list=Right.LIST in held,
        can_read=Right.READ in held,
        can_write=Right.WRITE in held,
        can_delete=Right.DELETE in held or (Right.PURGE in held and Right.WRITE not in held),
        write_to=_describe_keys(held.get(Right.WRITE, set())),
        marks=[mark.value for mark in dict.fromkeys(marks)],
        differs=any(mark in DIFFERENCES for mark in marks),
        key_last_used_at=key_last_used_at,
    )


def _describe_keys(patterns: set[str]) -> str:
    """Describe key patterns for people: without the final `*`, and without those that another covers."""
    widest = sorted(pattern for pattern in patterns if not any(pattern != other and covers(other, pattern) for other in patterns))
    shown = [pattern.removesuffix("*") or "everywhere" for pattern in widest[:MAX_PREFIXES_SHOWN]]
    more = f" and {len(widest) - MAX_PREFIXES_SHOWN} more" if len(widest) > MAX_PREFIXES_SHOWN else ""
    return ", ".join(shown) + more


def _expected_name(group: Group, membership: Membership) -> str:
    if membership.access == Access.FEDERATED:
        return names.role(group.slug)
    return names.user(group.slug, membership.username)


def _last_use(principal: Principal | None) -> datetime | None:
    return max((key.last_used_at for key in principal.keys if key.last_used_at), default=None) if principal else None
