"""What AWS holds of a group against what the database says of it: the review's lines and findings. Asks AWS nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from control_plane.access.groups.models import Access, AccessState, Grant, Group, Membership
from control_plane.access.review.effective_access import Can, Reach, covers
from control_plane.access.review.iam_snapshot import Holding, Principal
from control_plane.access.review.models import DIFFERENCES, Line, Mark
from stacks.manifest import names

Keys = dict[Can, set[str]]
# Longer lists of places are cut: a person reads them.
MAX_PLACES = 12


@dataclass
class Compared:
    """A group's rows, and what each is compared with."""

    group: Group
    memberships: Sequence[Membership]
    grants: Sequence[Grant]
    holding: Holding

    def user_of(self, membership: Membership) -> Principal | None:
        """What stands for a membership on AWS: its own user, or the group's role."""
        if membership.access == Access.FEDERATED:
            return self.holding.role
        return self.holding.users.get(names.user(self.group.slug, membership.username))

    def strangers(self) -> list[Principal]:
        """The users whom no membership knows: those in our path, and those from elsewhere in the IAM group."""
        known = {names.user(self.group.slug, one.username) for one in self.memberships if one.access == Access.KEYS}
        unknown = [user for name, user in self.holding.users.items() if name not in known]
        return [*unknown, *self.holding.foreign.values()]


def lines(compared: Compared) -> list[Line]:
    """One line for each person and bucket, and for each stranger and bucket."""
    reaches: dict[str, Reach] = {}
    found: list[Line] = []
    for membership in compared.memberships:
        membership.group = compared.group
        principal = compared.user_of(membership)
        if principal is not None and principal.name not in reaches:
            reaches[principal.name] = principal.reach()
        found += _of_membership(compared, membership, principal, reaches[principal.name] if principal else Reach())
    for stranger in compared.strangers():
        found += _of_stranger(compared.group, stranger)
    return found


def _of_membership(compared: Compared, membership: Membership, principal: Principal | None, reach: Reach) -> Iterable[Line]:
    is_denied = reach.denies(membership.username) if membership.access == Access.FEDERATED else reach.is_denied
    held = {} if is_denied else reach.in_buckets()
    common = _standing(compared.group, membership, is_there=principal is not None, is_denied=is_denied)
    name = principal.name if principal else _expected_name(compared.group, membership)
    grants = {grant.analysis.bucket: grant for grant in compared.grants}
    # A membership that AWS is yet to hear of, or to forget, is not measured against what the group is granted.
    is_settled = membership.access_state == AccessState.ACTIVE
    used = _last_use(principal) if membership.access == Access.KEYS else None
    for bucket in sorted({*grants, *held}) or [""]:
        grant, keys = grants.get(bucket), _held_in(held, bucket)
        marks = list(common)
        if principal is not None and not is_denied and is_settled:
            marks += _against(compared.group.slug, grant, keys, is_role=membership.access == Access.FEDERATED)
        elif keys and grant is None:
            marks.append(Mark.WIDER)
        yield _line(compared.group, name, bucket, keys, marks, membership=membership, grant=grant, key_last_used_at=used)


def _held_in(held: dict[str, Keys], bucket: str) -> Keys:
    """What is held in one bucket, by its own name or by a pattern that takes it in."""
    found: Keys = {}
    for pattern, keys in held.items():
        if covers(pattern, bucket):
            for can, places in keys.items():
                found[can] = found.get(can, set()) | places
    return found


def _of_stranger(group: Group, principal: Principal) -> Iterable[Line]:
    reach = principal.reach()
    for bucket, keys in sorted(reach.in_buckets().items()) or [("", {})]:
        marks = [Mark.NOT_IN_DATABASE, *([Mark.DENIED] if reach.is_denied else [])]
        yield _line(group, principal.name, bucket, keys, marks, key_last_used_at=_last_use(principal))


def _standing(group: Group, membership: Membership, *, is_there: bool, is_denied: bool) -> list[Mark]:
    """The marks that a person's every line carries."""
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
    # While a deployment is awaited, AWS and the database may differ on this by right.
    if group.stack.is_up_to_date and state == AccessState.ACTIVE and is_there:
        if is_suspended and not is_denied:
            marks.append(Mark.LETS_IN)
        if is_denied and not is_suspended:
            marks.append(Mark.DENIED_ONLY)
    return marks


def _against(slug: str, grant: Grant | None, held: Keys, *, is_role: bool) -> list[Mark]:
    """How what is held in one bucket stands against what is granted there."""
    if grant is None:
        return [Mark.WIDER]
    granted = granted_keys(slug, writes=grant.level == Grant.Level.READ_WRITE, is_role=is_role)
    state, marks = grant.access_state, []
    if state == AccessState.ACTIVE and not held:
        return [Mark.NOT_ON_AWS]
    if not _within(held, granted):
        marks.append(Mark.WIDER)
    if state == AccessState.ACTIVE and not _within(granted, held):
        marks.append(Mark.NARROWER)
    return marks


def granted_keys(slug: str, *, writes: bool, is_role: bool) -> Keys:
    """What a grant gives of a bucket, as the documentation says. Worked out anew, not from what is deployed."""
    folder = f"{slug}/*"
    granted: Keys = {Can.LIST: {folder}, Can.READ: {folder}}
    if writes:
        writable = {f"{slug}/{name}/*" for name in names.WRITABLE_FOLDERS}
        granted |= {Can.WRITE: writable, Can.DELETE: {*writable, f"{slug}/results/*"}}
        if is_role:
            # Undoing a deletion ends a version, in sessions that never leave the server.
            granted[Can.PURGE] = {folder}
    return granted


def _within(inner: Keys, outer: Keys) -> bool:
    return all(any(covers(wide, keys) for wide in outer.get(can, ())) for can, places in inner.items() for keys in places)


def _line(
    group: Group,
    principal: str,
    bucket: str,
    held: Keys,
    marks: Sequence[Mark],
    *,
    membership: Membership | None = None,
    grant: Grant | None = None,
    key_last_used_at: datetime | None = None,
) -> Line:
    return Line(
        group=group,
        membership=membership,
        grant=grant,
        principal=principal[:256],
        bucket=bucket[:128],
        prefix=_places(set().union(*held.values()) if held else set()),
        can_list=Can.LIST in held,
        can_read=Can.READ in held,
        can_write=Can.WRITE in held,
        can_delete=Can.DELETE in held or (Can.PURGE in held and Can.WRITE not in held),
        write_to=_places(held.get(Can.WRITE, set())),
        marks=[mark.value for mark in dict.fromkeys(marks)],
        differs=any(mark in DIFFERENCES for mark in marks),
        key_last_used_at=key_last_used_at,
    )


def _places(patterns: set[str]) -> str:
    """Keys for a person: without the star at the end, and without what another one takes in."""
    widest = sorted(one for one in patterns if not any(one != other and covers(other, one) for other in patterns))
    shown = [one.removesuffix("*") or "everywhere" for one in widest[:MAX_PLACES]]
    more = f" and {len(widest) - MAX_PLACES} more" if len(widest) > MAX_PLACES else ""
    return ", ".join(shown) + more


def _expected_name(group: Group, membership: Membership) -> str:
    if membership.access == Access.FEDERATED:
        return names.role(group.slug)
    return names.user(group.slug, membership.username)


def _last_use(principal: Principal | None) -> datetime | None:
    return max((key.last_used_at for key in principal.keys if key.last_used_at), default=None) if principal else None
