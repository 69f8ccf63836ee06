"""Comparison of the IAM permissions of two templates: statements added and removed, and which of them broaden access.

Everything is compared as a whole, for each principal and each resource: a statement that is written in another way, or in
another policy of the same principals, is no change, and a denial that goes with whom it was for lets nobody in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from control_plane.deployments.deployers.iam_statements import Statement, condition_text, statements_of, text_of, uncovered
from control_plane.deployments.plans import StatementChange

Resources = Mapping[str, Mapping[str, Any]]

PRINCIPALS = {"AWS::IAM::Role": "Roles", "AWS::IAM::Group": "Groups", "AWS::IAM::User": "Users"}
POLICIES = ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::UserPolicy", "AWS::IAM::GroupPolicy")
# Types that give access without a policy document that could be compared.
OPAQUE = ("AWS::Lambda::Permission", "AWS::SSO::Assignment", "AWS::SSO::PermissionSet", "AWS::IAM::UserToGroupAddition")
# A role's sessions, unless it says otherwise (IAM API reference, CreateRole, MaxSessionDuration); a user's sessions by
# GetSessionToken last 36 hours at most.
ROLE_SESSION_SECONDS, USER_SESSION_SECONDS = 3600, 36 * 3600


@dataclass
class _TemplateAccess:
    """Permissions that one side's templates give. Statements are by the principal or resource that they apply to."""

    kinds: dict[str, str] = field(default_factory=dict)
    session_seconds: dict[str, int] = field(default_factory=dict)
    statements: dict[str, list[Statement]] = field(default_factory=dict)
    attached: set[tuple[str, str]] = field(default_factory=set)
    memberships: set[tuple[str, str]] = field(default_factory=set)
    boundaries: dict[str, str] = field(default_factory=dict)
    opaque: set[tuple[str, str]] = field(default_factory=set)


def compare(before: Sequence[Resources], after: Sequence[Resources], *, now: datetime) -> list[StatementChange]:
    """Compare the resources of a stack's templates, and of those nested in it, before and after.

    Returns the statements, attachments, memberships and boundaries that change. `now` tells which session denials are over.
    """
    held, wanted = _read_templates(before), _read_templates(after)
    rows: dict[tuple[str, str, Statement], list[tuple[str, bool, frozenset[str]]]] = {}
    for subject in sorted({*held.statements, *wanted.statements}):
        old, new = held.statements.get(subject, []), wanted.statements.get(subject, [])
        added, removed = (
            [statement for statement in new if statement not in old],
            [statement for statement in old if statement not in new],
        )
        for change, statements in (("add", added), ("remove", removed)):
            for statement in dict.fromkeys(statements):
                widens, sessions = _judge(change, statement, subject, held, wanted, now)
                rows.setdefault((change, statement.effect, statement), []).append((subject, widens, sessions))
    changes = [_statement_change(*key, subjects) for key, subjects in rows.items()]
    return [*changes, *_attachments(held, wanted), *_memberships(held, wanted), *_boundaries(held, wanted), *_opaque(held, wanted)]


def _judge(
    change: str, statement: Statement, subject: str, held: _TemplateAccess, wanted: _TemplateAccess, now: datetime
) -> tuple[bool, frozenset[str]]:
    """Return whether the change lets somebody do more, and the names of the sessions, if it does so in these alone."""
    if statement.effect == "Unknown":
        return True, frozenset()
    if (change == "add") != (statement.effect == "Allow"):
        return False, frozenset()
    if change == "add":
        allowed = [other for other in held.statements.get(subject, []) if other.effect == "Allow"]
        return bool(uncovered(statement, allowed)), frozenset()
    if _is_gone(subject, held, wanted):
        return False, frozenset()
    kept = [other for other in wanted.statements.get(subject, []) if other.effect == "Deny"]
    longest = max(held.session_seconds.get(subject, USER_SESSION_SECONDS), wanted.session_seconds.get(subject, 0))
    open_again = [atom for atom in uncovered(statement, kept) if not atom.is_over(longest, now)]
    names = [atom.session_names for atom in open_again]
    return bool(open_again), frozenset().union(*names) if names and all(names) else frozenset()


def _is_gone(subject: str, held: _TemplateAccess, wanted: _TemplateAccess) -> bool:
    """Return whether nobody is left to whom a denial applied: the principal goes, and, of a group, all its members too."""
    # A role's trust policy goes with the role.
    name = subject if subject in held.kinds else subject.rpartition(".")[0]
    if name not in held.kinds or name in wanted.kinds:
        return False
    if held.kinds[name] != "AWS::IAM::Group":
        return True
    # The template of a nested stack does not say which group its users are in.
    members = {user for user, group in held.memberships if group == name or group not in held.kinds}
    return not members & wanted.kinds.keys()


def _read_templates(templates: Sequence[Resources]) -> _TemplateAccess:
    access = _TemplateAccess()
    for number, resources in enumerate(templates):
        # Nested stacks may use the same names.
        names = {logical_id: f"{logical_id}#{number}" if number else logical_id for logical_id in resources}
        for logical_id, resource in resources.items():
            _read_resource(access, names, names[logical_id], str(resource.get("Type", "")), resource.get("Properties") or {})
        _assign_policies(access, names, resources)
    return access


def _read_resource(access: _TemplateAccess, names: Mapping[str, str], name: str, kind: str, properties: Mapping[str, Any]) -> None:
    if kind in OPAQUE:
        access.opaque.add((name, text_of(properties)))
        return
    if kind in POLICIES:
        return
    if kind in PRINCIPALS:
        access.kinds[name] = kind
        if kind == "AWS::IAM::Role":
            seconds = properties.get("MaxSessionDuration", ROLE_SESSION_SECONDS)
            access.session_seconds[name] = int(seconds) if str(seconds).isdigit() else USER_SESSION_SECONDS
        access.boundaries[name] = text_of(properties["PermissionsBoundary"]) if "PermissionsBoundary" in properties else ""
        policies = properties.get("Policies") or []
        access.statements.setdefault(name, []).extend(
            statement
            for policy in (policies if isinstance(policies, list) else [policies])
            for statement in statements_of(policy.get("PolicyDocument", policy) if isinstance(policy, Mapping) else policy)
        )
        access.memberships |= {(name, _target(names, group)) for group in _list(properties.get("Groups"))}
    for key, document in properties.items():
        # A resource's own policy: who may assume a role, a bucket's, a key's, a secret's.
        if isinstance(document, Mapping) and "Statement" in document:
            access.statements.setdefault(f"{name}.{key}", []).extend(statements_of(document))


def _assign_policies(access: _TemplateAccess, names: Mapping[str, str], resources: Resources) -> None:
    """Add the statements of attached policies to each principal: statements are compared, whichever policy they stand in."""
    holders: dict[str, set[str]] = {}
    for logical_id, resource in resources.items():
        properties = resource.get("Properties") or {}
        if resource.get("Type") in PRINCIPALS:
            for policy in _list(properties.get("ManagedPolicyArns")):
                target = _target(names, policy)
                if _is_policy(resources, policy):
                    holders.setdefault(target, set()).add(names[logical_id])
                else:
                    access.attached.add((names[logical_id], target))
        elif resource.get("Type") in POLICIES:
            attached = [*_list(properties.get("Roles")), *_list(properties.get("Users")), *_list(properties.get("Groups"))]
            attached += [properties[key] for key in ("RoleName", "UserName", "GroupName") if key in properties]
            holders.setdefault(names[logical_id], set()).update(_target(names, principal) for principal in attached)
    for logical_id, resource in resources.items():
        if resource.get("Type") in POLICIES:
            statements = statements_of((resource.get("Properties") or {}).get("PolicyDocument"))
            # A policy that is attached to no principal here may be attached elsewhere: then its own text is compared.
            for holder in sorted(holders.get(names[logical_id], set())) or [names[logical_id]]:
                access.statements.setdefault(holder, []).extend(statements)


def _is_policy(resources: Resources, reference: Any) -> bool:
    return isinstance(reference, Mapping) and resources.get(str(reference.get("Ref", "")), {}).get("Type") in POLICIES


def _target(names: Mapping[str, str], reference: Any) -> str:
    """Return the name of the resource of the same template that is referred to, or the reference as text if there is none."""
    if isinstance(reference, Mapping) and len(reference) == 1:
        meant = reference.get("Ref") or (reference.get("Fn::GetAtt") or [""])[0]
        if isinstance(meant, str) and meant in names:
            return names[meant]
    return text_of(reference)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _statement_change(
    change: str, effect: str, statement: Statement, subjects: list[tuple[str, bool, frozenset[str]]]
) -> StatementChange:
    widening = [sessions for _, widens, sessions in subjects if widens]
    return StatementChange(
        change="add" if change == "add" else "remove",
        effect=effect,
        actions=str(statement.actions) or statement.whole,
        resource=str(statement.resources),
        principal=str(statement.principals) or ", ".join(subject for subject, *_ in subjects),
        condition=condition_text(statement),
        widens=bool(widening),
        sessions=sorted(frozenset().union(*widening)) if widening and all(widening) else [],
    )


def _attachments(held: _TemplateAccess, wanted: _TemplateAccess) -> Iterator[StatementChange]:
    """Yield changed attachments of policies outside the templates, whose text is unknown.

    One that is detached may have denied something to a principal that stays.
    """
    for name, policy in sorted(wanted.attached - held.attached):
        yield _change("add", "Attach", policy, name, widens=True)
    for name, policy in sorted(held.attached - wanted.attached):
        yield _change("remove", "Attach", policy, name, widens=name in wanted.kinds)


def _memberships(held: _TemplateAccess, wanted: _TemplateAccess) -> Iterator[StatementChange]:
    """Yield changed group memberships of users who are there before and after; the manifests tell who comes and goes."""
    stays = held.kinds.keys() & wanted.kinds.keys()
    for user, group in sorted(wanted.memberships - held.memberships):
        if user in stays:
            yield _change("add", "Attach", group, user, widens=True)
    for user, group in sorted(held.memberships - wanted.memberships):
        if user in stays:
            yield _change("remove", "Attach", group, user, widens=group not in held.kinds or group in wanted.kinds)


def _boundaries(held: _TemplateAccess, wanted: _TemplateAccess) -> Iterator[StatementChange]:
    """Yield changed permissions boundaries: one that is added restricts; one that is removed or replaced may broaden."""
    for name in sorted(held.kinds.keys() & wanted.kinds.keys()):
        old, new = held.boundaries[name], wanted.boundaries[name]
        if old != new:
            change: Literal["add", "remove"] = "remove" if old else "add"
            yield _change(change, "Boundary", new or old, name, widens=bool(old))


def _opaque(held: _TemplateAccess, wanted: _TemplateAccess) -> Iterator[StatementChange]:
    for name, text in sorted(wanted.opaque - held.opaque):
        yield _change("add", "Unknown", text, name, widens=True)
    for name, text in sorted(held.opaque - wanted.opaque):
        yield _change("remove", "Unknown", text, name, widens=False)


def _change(change: Literal["add", "remove"], effect: str, what: str, principal: str, *, widens: bool) -> StatementChange:
    return StatementChange(change, effect, what, "", principal, "", widens)
