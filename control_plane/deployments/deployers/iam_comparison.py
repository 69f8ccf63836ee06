"""What two templates of a stack allow and deny: the statements that come and go, and which let somebody do more.

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
# What lets somebody in without a document that could be compared.
OPAQUE = ("AWS::Lambda::Permission", "AWS::SSO::Assignment", "AWS::SSO::PermissionSet", "AWS::IAM::UserToGroupAddition")
# A role's sessions, unless it says otherwise (IAM API reference, CreateRole, MaxSessionDuration); a user's sessions by
# GetSessionToken last 36 hours at most.
ROLE_SESSION_SECONDS, USER_SESSION_SECONDS = 3600, 36 * 3600


@dataclass
class _Side:
    """What one template says. Statements by who or what they are about; `written` says where each stands, for display."""

    kinds: dict[str, str] = field(default_factory=dict)
    session_seconds: dict[str, int] = field(default_factory=dict)
    statements: dict[str, list[Statement]] = field(default_factory=dict)
    attached: set[tuple[str, str]] = field(default_factory=set)
    memberships: set[tuple[str, str]] = field(default_factory=set)
    boundaries: dict[str, str] = field(default_factory=dict)
    opaque: set[tuple[str, str]] = field(default_factory=set)


def compare(before: Sequence[Resources], after: Sequence[Resources], *, now: datetime) -> list[StatementChange]:
    """What changes between the resources of a stack, and of those nested in it, as their templates have them."""
    held, wanted = _read(before), _read(after)
    rows: dict[tuple[str, str, Statement], list[tuple[str, bool, frozenset[str]]]] = {}
    for subject in sorted({*held.statements, *wanted.statements}):
        old, new = held.statements.get(subject, []), wanted.statements.get(subject, [])
        for change, found in (("add", [one for one in new if one not in old]), ("remove", [one for one in old if one not in new])):
            for one in dict.fromkeys(found):
                widens, sessions = _judge(change, one, subject, held, wanted, now)
                rows.setdefault((change, one.effect, one), []).append((subject, widens, sessions))
    changes = [_row(*key, found) for key, found in rows.items()]
    return [*changes, *_attachments(held, wanted), *_memberships(held, wanted), *_boundaries(held, wanted), *_opaque(held, wanted)]


def _judge(change: str, one: Statement, subject: str, held: _Side, wanted: _Side, now: datetime) -> tuple[bool, frozenset[str]]:
    """Whether somebody can do more by it; and if so, in which sessions alone, where it is about some by their names."""
    if one.effect == "Unknown":
        return True, frozenset()
    if (change == "add") != (one.effect == "Allow"):
        return False, frozenset()
    if change == "add":
        return bool(uncovered(one, [other for other in held.statements.get(subject, []) if other.effect == "Allow"])), frozenset()
    if _is_gone(subject, held, wanted):
        return False, frozenset()
    kept = [other for other in wanted.statements.get(subject, []) if other.effect == "Deny"]
    longest = max(held.session_seconds.get(subject, USER_SESSION_SECONDS), wanted.session_seconds.get(subject, 0))
    open_again = [atom for atom in uncovered(one, kept) if not atom.is_over(longest, now)]
    names = [atom.session_names for atom in open_again]
    return bool(open_again), frozenset().union(*names) if names and all(names) else frozenset()


def _is_gone(subject: str, held: _Side, wanted: _Side) -> bool:
    """Whether nobody is left whom a denial was for: a principal that goes, and, of a group, all who were in it."""
    # A role's trust goes with the role.
    name = subject if subject in held.kinds else subject.rpartition(".")[0]
    if name not in held.kinds or name in wanted.kinds:
        return False
    if held.kinds[name] != "AWS::IAM::Group":
        return True
    # Which group a user of a nested stack is in, its template does not say.
    members = {user for user, group in held.memberships if group == name or group not in held.kinds}
    return not members & wanted.kinds.keys()


def _read(templates: Sequence[Resources]) -> _Side:
    side = _Side()
    for number, resources in enumerate(templates):
        # Nested stacks may use the same names.
        names = {logical_id: f"{logical_id}#{number}" if number else logical_id for logical_id in resources}
        for logical_id, resource in resources.items():
            _read_resource(side, names, names[logical_id], str(resource.get("Type", "")), resource.get("Properties") or {})
        _hand_on(side, names, resources)
    return side


def _read_resource(side: _Side, names: Mapping[str, str], name: str, kind: str, properties: Mapping[str, Any]) -> None:
    if kind in OPAQUE:
        side.opaque.add((name, text_of(properties)))
        return
    if kind in POLICIES:
        return
    if kind in PRINCIPALS:
        side.kinds[name] = kind
        if kind == "AWS::IAM::Role":
            seconds = properties.get("MaxSessionDuration", ROLE_SESSION_SECONDS)
            side.session_seconds[name] = int(seconds) if str(seconds).isdigit() else USER_SESSION_SECONDS
        side.boundaries[name] = text_of(properties["PermissionsBoundary"]) if "PermissionsBoundary" in properties else ""
        policies = properties.get("Policies") or []
        side.statements.setdefault(name, []).extend(
            statement
            for policy in (policies if isinstance(policies, list) else [policies])
            for statement in statements_of(policy.get("PolicyDocument", policy) if isinstance(policy, Mapping) else policy)
        )
        side.memberships |= {(name, _target(names, group)) for group in _list(properties.get("Groups"))}
    for key, document in properties.items():
        # A resource's own policy: who may assume a role, a bucket's, a key's, a secret's.
        if isinstance(document, Mapping) and "Statement" in document:
            side.statements.setdefault(f"{name}.{key}", []).extend(statements_of(document))


def _hand_on(side: _Side, names: Mapping[str, str], resources: Resources) -> None:
    """Give each principal the policies that are attached to it: what they say counts, and not which of them says it."""
    holders: dict[str, set[str]] = {}
    for logical_id, resource in resources.items():
        properties = resource.get("Properties") or {}
        if resource.get("Type") in PRINCIPALS:
            for policy in _list(properties.get("ManagedPolicyArns")):
                target = _target(names, policy)
                if _is_policy(resources, policy):
                    holders.setdefault(target, set()).add(names[logical_id])
                else:
                    side.attached.add((names[logical_id], target))
        elif resource.get("Type") in POLICIES:
            attached = [*_list(properties.get("Roles")), *_list(properties.get("Users")), *_list(properties.get("Groups"))]
            attached += [properties[key] for key in ("RoleName", "UserName", "GroupName") if key in properties]
            holders.setdefault(names[logical_id], set()).update(_target(names, one) for one in attached)
    for logical_id, resource in resources.items():
        if resource.get("Type") in POLICIES:
            statements = statements_of((resource.get("Properties") or {}).get("PolicyDocument"))
            # One that is attached to nobody here may be elsewhere: then its own text is compared.
            for holder in sorted(holders.get(names[logical_id], set())) or [names[logical_id]]:
                side.statements.setdefault(holder, []).extend(statements)


def _is_policy(resources: Resources, reference: Any) -> bool:
    return isinstance(reference, Mapping) and resources.get(str(reference.get("Ref", "")), {}).get("Type") in POLICIES


def _target(names: Mapping[str, str], reference: Any) -> str:
    """The resource of the same template that is meant, or the text where it is none."""
    if isinstance(reference, Mapping) and len(reference) == 1:
        meant = reference.get("Ref") or (reference.get("Fn::GetAtt") or [""])[0]
        if isinstance(meant, str) and meant in names:
            return names[meant]
    return text_of(reference)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _row(change: str, effect: str, one: Statement, found: list[tuple[str, bool, frozenset[str]]]) -> StatementChange:
    widening = [sessions for _, widens, sessions in found if widens]
    return StatementChange(
        change="add" if change == "add" else "remove",
        effect=effect,
        actions=str(one.actions) or one.whole,
        resource=str(one.resources),
        principal=str(one.principals) or ", ".join(subject for subject, *_ in found),
        condition=condition_text(one),
        widens=bool(widening),
        sessions=sorted(frozenset().union(*widening)) if widening and all(widening) else [],
    )


def _attachments(held: _Side, wanted: _Side) -> Iterator[StatementChange]:
    """Policies of elsewhere: what they say is not known here. One that goes may have denied something to whoever stays."""
    for name, policy in sorted(wanted.attached - held.attached):
        yield _plain("add", "Attach", policy, name, widens=True)
    for name, policy in sorted(held.attached - wanted.attached):
        yield _plain("remove", "Attach", policy, name, widens=name in wanted.kinds)


def _memberships(held: _Side, wanted: _Side) -> Iterator[StatementChange]:
    """Of users who are there before and after. Who comes and who goes is told by the manifests."""
    stays = held.kinds.keys() & wanted.kinds.keys()
    for user, group in sorted(wanted.memberships - held.memberships):
        if user in stays:
            yield _plain("add", "Attach", group, user, widens=True)
    for user, group in sorted(held.memberships - wanted.memberships):
        if user in stays:
            yield _plain("remove", "Attach", group, user, widens=group not in held.kinds or group in wanted.kinds)


def _boundaries(held: _Side, wanted: _Side) -> Iterator[StatementChange]:
    """A boundary that is added takes something away; one that goes, or becomes another, may let somebody do more."""
    for name in sorted(held.kinds.keys() & wanted.kinds.keys()):
        old, new = held.boundaries[name], wanted.boundaries[name]
        if old != new:
            change: Literal["add", "remove"] = "remove" if old else "add"
            yield _plain(change, "Boundary", new or old, name, widens=bool(old))


def _opaque(held: _Side, wanted: _Side) -> Iterator[StatementChange]:
    for name, text in sorted(wanted.opaque - held.opaque):
        yield _plain("add", "Unknown", text, name, widens=True)
    for name, text in sorted(held.opaque - wanted.opaque):
        yield _plain("remove", "Unknown", text, name, widens=False)


def _plain(change: Literal["add", "remove"], effect: str, what: str, principal: str, *, widens: bool) -> StatementChange:
    return StatementChange(change, effect, what, "", principal, "", widens)
