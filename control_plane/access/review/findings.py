"""Findings: what differs on AWS from what Cohort makes: unexpected users, foreign policies, keys, trust, buckets."""

from collections.abc import Iterable, Sequence
from typing import Any

from control_plane.access.groups.models import Access, AccessState, Membership
from control_plane.access.keys.models import AdoptedKey
from control_plane.access.review.comparison import Comparison
from control_plane.access.review.effective_access import Document
from control_plane.access.review.iam_snapshot import Policy, Principal
from control_plane.access.review.models import Finding
from stacks import denials, names

Kind = Finding.Kind
# The inline policies that group stacks give (see `stacks/group/group_stack.py`).
INLINE_POLICIES = {
    "role": (denials.ENDED_SESSIONS, "undo"),
    "user": (denials.SUSPENDED,),
    "group": (denials.SUSPENDED, denials.KEY_SESSIONS),
}


def build_findings(comparison: Comparison) -> list[Finding]:
    """Build a group's findings, unsaved. The caller sets their scan."""
    findings = [*_unexpected_users(comparison), *_missing(comparison), *_keys(comparison), *_group(comparison)]
    members = _members_by_user(comparison)
    for user in comparison.snapshot.users.values():
        findings += _principal(comparison, user, "user", members.get(user.name))
    if comparison.snapshot.role is not None:
        findings += _principal(comparison, comparison.snapshot.role, "role", None)
        findings += _trust(comparison, comparison.snapshot.role)
    findings += _buckets(comparison.snapshot.bucket_policies)
    return findings


def _unexpected_users(comparison: Comparison) -> Iterable[Finding]:
    foreign = comparison.snapshot.foreign
    for user in comparison.unexpected_users():
        if user.name in foreign:
            yield _finding(Kind.FOREIGN_USER, user.name, f"It lies under {user.path} and has all that the group’s keys have.")
        else:
            yield _finding(Kind.UNKNOWN_USER, user.name, f"It lies under {user.path}, and no membership knows it.")


def _missing(comparison: Comparison) -> Iterable[Finding]:
    for membership in comparison.memberships:
        if membership.access == Access.KEYS and _is_in_force(membership) and comparison.principal_of(membership) is None:
            name = names.user(comparison.group.slug, membership.username)
            yield _finding(Kind.MISSING, name, "The user of a member who holds a key is not there.", membership)
    # Every group has its role, once it was deployed.
    if comparison.snapshot.role is None and comparison.group.stack.deployed_generation:
        yield _finding(Kind.MISSING, names.role(comparison.group.slug), "The group’s role is not there.")
    holders = any(membership.access == Access.KEYS and _is_in_force(membership) for membership in comparison.memberships)
    if holders and not comparison.snapshot.has_iam_group:
        yield _finding(Kind.MISSING, names.iam_group(comparison.group.slug), "The IAM group of those who hold keys is not there.")


def _keys(comparison: Comparison) -> Iterable[Finding]:
    """Build findings for keys that neither the stack made nor were adopted from the predecessor."""
    brought = AdoptedKey.objects.held_by_aws().filter(membership__in=comparison.memberships).values_list("access_key_id", flat=True)
    known, members = {*comparison.snapshot.made_keys, *brought}, _members_by_user(comparison)
    for user in comparison.snapshot.users.values():
        for key in user.keys:
            if key.access_key_id not in known:
                state = "works" if key.is_active else "is inactive"
                used = f"last used {key.last_used_at:%Y-%m-%d}" if key.last_used_at else "never used"
                detail = f"{key.access_key_id} {state}, {used}."
                yield _finding(Kind.UNKNOWN_KEY, user.name, detail, members.get(user.name))


def _group(comparison: Comparison) -> Iterable[Finding]:
    yield from _policies(comparison, names.iam_group(comparison.group.slug), comparison.snapshot.group_policies, "group", None)


def _principal(comparison: Comparison, principal: Principal, kind: str, membership: Membership | None) -> Iterable[Finding]:
    stack = comparison.group.stack
    yield from _policies(comparison, principal.name, principal.policies, kind, membership)
    for other in principal.other_groups:
        yield _finding(Kind.FOREIGN_GROUP, principal.name, f"It is in the IAM group {other} too.", membership)
    if principal.boundary_arn != names.boundary_arn(stack.account, stack.region):
        detail = f"It carries {principal.boundary_arn}." if principal.boundary_arn else "It carries none."
        yield _finding(Kind.NO_BOUNDARY, principal.name, detail, membership)
    if beyond := principal.effective_access().non_s3_actions:
        yield _finding(Kind.BEYOND_S3, principal.name, f"It may {', '.join(beyond[:10])}.", membership)


def _policies(
    comparison: Comparison, name: str, policies: Sequence[Policy], kind: str, membership: Membership | None
) -> Iterable[Finding]:
    ours = f":policy{names.iam_path(comparison.group.slug)}"
    for policy in policies:
        if (policy.arn and ours not in policy.arn) or (not policy.arn and policy.name not in INLINE_POLICIES[kind]):
            yield _finding(Kind.FOREIGN_POLICY, name, policy.arn or f"the inline policy {policy.name}", membership)
        if not policy.is_readable:
            detail = f"{policy.arn}: what it allows is not known, so it counts as everything within the boundary."
            yield _finding(Kind.UNREADABLE, name, detail, membership)


def _trust(comparison: Comparison, role: Principal) -> Iterable[Finding]:
    stack = comparison.group.stack
    ours = {f"arn:{names.partition(stack.region)}:iam::{stack.account}:root", stack.account}
    for statement in _statements(role.trust):
        if statement.get("Effect") == "Allow":
            for principal in _principals_of(statement):
                if principal not in ours:
                    yield _finding(Kind.TRUST, role.name, f"{principal} may assume it.")


def _buckets(policies: dict[str, Document]) -> Iterable[Finding]:
    """Build findings for statements that allow: Cohort's own bucket policies only deny requests without TLS."""
    for bucket, document in policies.items():
        for statement in _statements(document):
            if statement.get("Effect") == "Allow":
                actions = statement.get("Action", "all but some")
                what = ", ".join(actions[:5]) if isinstance(actions, list) else str(actions)
                yield _finding(Kind.BUCKET_POLICY, bucket, f"It lets {', '.join(_principals_of(statement)[:5])} do {what}.")


def _principals_of(statement: dict[str, Any]) -> list[str]:
    if "NotPrincipal" in statement:
        return ["everybody but some"]
    principal = statement.get("Principal", "*")
    if not isinstance(principal, dict):
        return [str(principal)]
    return [str(name) for value in principal.values() for name in (value if isinstance(value, list) else [value])]


def _statements(document: Document) -> list[dict[str, Any]]:
    statements = document.get("Statement", [])
    return list(statements) if isinstance(statements, list) else [statements]


def _members_by_user(comparison: Comparison) -> dict[str, Membership]:
    holders = [membership for membership in comparison.memberships if membership.access == Access.KEYS]
    return {names.user(comparison.group.slug, membership.username): membership for membership in holders}


def _is_in_force(membership: Membership) -> bool:
    return membership.access_state == AccessState.ACTIVE


def _finding(kind: Finding.Kind, principal: str, detail: str, membership: Membership | None = None) -> Finding:
    return Finding(kind=kind, principal=principal[:256], detail=detail[:500], membership=membership)
