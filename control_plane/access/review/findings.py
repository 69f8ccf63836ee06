"""What on AWS is not as Cohort makes it, beside who can reach what: strangers, foreign policies, keys, trust, buckets."""

from collections.abc import Iterable, Sequence
from typing import Any

from control_plane.access.groups.models import Access, AccessState, Membership
from control_plane.access.keys.models import AdoptedKey
from control_plane.access.review.comparison import Compared
from control_plane.access.review.effective_access import Document
from control_plane.access.review.iam_snapshot import Policy, Principal
from control_plane.access.review.models import Finding
from stacks.manifest import denials, names

Kind = Finding.Kind
# The inline policies that group stacks give (see `stacks/group_stack.py`).
INLINE = {
    "role": (denials.ENDED_SESSIONS, "undo"),
    "user": (denials.SUSPENDED,),
    "group": (denials.SUSPENDED, denials.KEY_SESSIONS),
}


def findings(compared: Compared) -> list[Finding]:
    """All of a group's. Their look is the caller's to set."""
    found = [*_strangers(compared), *_missing(compared), *_keys(compared), *_group(compared)]
    members = _members_by_user(compared)
    for user in compared.holding.users.values():
        found += _principal(compared, user, "user", members.get(user.name))
    if compared.holding.role is not None:
        found += _principal(compared, compared.holding.role, "role", None)
        found += _trust(compared, compared.holding.role)
    found += _buckets(compared.holding.bucket_policies)
    return found


def _strangers(compared: Compared) -> Iterable[Finding]:
    foreign = compared.holding.foreign
    for stranger in compared.strangers():
        if stranger.name in foreign:
            yield _finding(
                Kind.FOREIGN_USER, stranger.name, f"It lies under {stranger.path} and has all that the group’s keys have."
            )
        else:
            yield _finding(Kind.UNKNOWN_USER, stranger.name, f"It lies under {stranger.path}, and no membership knows it.")


def _missing(compared: Compared) -> Iterable[Finding]:
    for membership in compared.memberships:
        if membership.access == Access.KEYS and _is_in_force(membership) and compared.user_of(membership) is None:
            name = names.user(compared.group.slug, membership.username)
            yield _finding(Kind.MISSING, name, "The user of a member who holds a key is not there.", membership)
    # Every group has its role, once it was deployed.
    if compared.holding.role is None and compared.group.stack.deployed_generation:
        yield _finding(Kind.MISSING, names.role(compared.group.slug), "The group’s role is not there.")
    holders = any(one.access == Access.KEYS and _is_in_force(one) for one in compared.memberships)
    if holders and not compared.holding.has_iam_group:
        yield _finding(Kind.MISSING, names.iam_group(compared.group.slug), "The IAM group of those who hold keys is not there.")


def _keys(compared: Compared) -> Iterable[Finding]:
    """Keys that neither the stack made nor somebody brought along from the predecessor."""
    brought = AdoptedKey.objects.held_by_aws().filter(membership__in=compared.memberships).values_list("access_key_id", flat=True)
    known, members = {*compared.holding.made_keys, *brought}, _members_by_user(compared)
    for user in compared.holding.users.values():
        for key in user.keys:
            if key.access_key_id not in known:
                state = "works" if key.is_active else "is inactive"
                used = f"last used {key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never used"
                told = f"{key.access_key_id} {state}, {used}."
                yield _finding(Kind.UNKNOWN_KEY, user.name, told, members.get(user.name))


def _group(compared: Compared) -> Iterable[Finding]:
    yield from _policies(compared, names.iam_group(compared.group.slug), compared.holding.group_policies, "group", None)


def _principal(compared: Compared, principal: Principal, kind: str, membership: Membership | None) -> Iterable[Finding]:
    stack = compared.group.stack
    yield from _policies(compared, principal.name, principal.policies, kind, membership)
    for other in principal.other_groups:
        yield _finding(Kind.FOREIGN_GROUP, principal.name, f"It is in the IAM group {other} too.", membership)
    if principal.boundary_arn != names.boundary_arn(stack.account, stack.region):
        told = f"It carries {principal.boundary_arn}." if principal.boundary_arn else "It carries none."
        yield _finding(Kind.NO_BOUNDARY, principal.name, told, membership)
    if beyond := principal.reach().beyond:
        yield _finding(Kind.BEYOND_S3, principal.name, f"It may {', '.join(beyond[:10])}.", membership)


def _policies(
    compared: Compared, name: str, policies: Sequence[Policy], kind: str, membership: Membership | None
) -> Iterable[Finding]:
    ours = f":policy{names.iam_path(compared.group.slug)}"
    for policy in policies:
        if (policy.arn and ours not in policy.arn) or (not policy.arn and policy.name not in INLINE[kind]):
            yield _finding(Kind.FOREIGN_POLICY, name, policy.arn or f"the inline policy {policy.name}", membership)
        if not policy.is_readable:
            told = f"{policy.arn}: what it allows is not known, so it counts as everything within the boundary."
            yield _finding(Kind.UNREADABLE, name, told, membership)


def _trust(compared: Compared, role: Principal) -> Iterable[Finding]:
    stack = compared.group.stack
    ours = {f"arn:{names.partition(stack.region)}:iam::{stack.account}:root", stack.account}
    for statement in _statements(role.trust):
        if statement.get("Effect") == "Allow":
            for who in _who(statement):
                if who not in ours:
                    yield _finding(Kind.TRUST, role.name, f"{who} may assume it.")


def _buckets(policies: dict[str, Document]) -> Iterable[Finding]:
    """Cohort's own bucket policies only deny what is not encrypted on its way."""
    for bucket, document in policies.items():
        for statement in _statements(document):
            if statement.get("Effect") == "Allow":
                actions = statement.get("Action", "all but some")
                what = ", ".join(actions[:5]) if isinstance(actions, list) else str(actions)
                yield _finding(Kind.BUCKET_POLICY, bucket, f"It lets {', '.join(_who(statement)[:5])} do {what}.")


def _who(statement: dict[str, Any]) -> list[str]:
    if "NotPrincipal" in statement:
        return ["everybody but some"]
    principal = statement.get("Principal", "*")
    if not isinstance(principal, dict):
        return [str(principal)]
    return [str(one) for value in principal.values() for one in (value if isinstance(value, list) else [value])]


def _statements(document: Document) -> list[dict[str, Any]]:
    found = document.get("Statement", [])
    return list(found) if isinstance(found, list) else [found]


def _members_by_user(compared: Compared) -> dict[str, Membership]:
    return {names.user(compared.group.slug, one.username): one for one in compared.memberships if one.access == Access.KEYS}


def _is_in_force(membership: Membership) -> bool:
    return membership.access_state == AccessState.ACTIVE


def _finding(kind: Finding.Kind, principal: str, detail: str, membership: Membership | None = None) -> Finding:
    return Finding(kind=kind, principal=principal[:256], detail=detail[:500], membership=membership)
