"""Denials of a group as plain data: for the group's stack, and for the lockout that precedes its deployment.

A denial carries the name of an inline policy that the stack gives the same principal, so that the deployment that follows takes
over what the lockout put there, and the deployment that lifts the denial removes it.
"""

from dataclasses import dataclass
from typing import Any, Literal

from stacks import names
from stacks.manifest import GroupManifest

# Of the role: whoever is removed or suspended, and sessions, some members' or all, from before a moment.
ENDED_SESSIONS = "ended-sessions"
# Of an IAM user or group.
SUSPENDED = "suspended"
# Of the IAM group of those who hold keys, always.
KEY_SESSIONS = "no-sessions-by-keys"


@dataclass(frozen=True)
class Denial:
    """An inline policy that denies: the kind of principal that carries it, its name, the policy's name and document."""

    kind: Literal["role", "user", "group"]
    principal: str
    policy_name: str
    document: dict[str, Any]


def all_denials(manifest: GroupManifest) -> list[Denial]:
    """Return all denials of this manifest."""
    denials = []
    if document := role_denial(manifest):
        denials.append(Denial("role", names.role(manifest.slug), ENDED_SESSIONS, document))
    if manifest.suspended and any(member.access == "keys" for member in manifest.members):
        denials.append(Denial("group", names.iam_group(manifest.slug), SUSPENDED, full_denial()))
    denials += [
        Denial("user", names.user(manifest.slug, member.username), SUSPENDED, full_denial())
        for member in manifest.members
        if member.suspended and member.access == "keys"
    ]
    return denials


def role_denial(manifest: GroupManifest) -> dict[str, Any] | None:
    """Return the role's denials, which end the running sessions of those locked out at once; None if there are none to end."""
    statements = []
    if manifest.suspended:
        statements.append(_deny("SuspendedGroup"))
    if shut_out := manifest.shut_out:
        # A federated session's aws:userid is '<role id>:<session name>', and the session name is the member's username.
        sessions = [f"*:{username}" for username in shut_out]
        statements.append(_deny("ShutOut") | {"Condition": {"StringLike": {"aws:userid": sessions}}})
    for number, (moment, usernames) in enumerate(manifest.cut_offs, start=1):
        before = {"DateLessThan": {"aws:TokenIssueTime": moment}}
        whose = {"StringLike": {"aws:userid": [f"*:{username}" for username in usernames]}}
        statements.append(_deny(f"CutOff{number}") | {"Condition": whose | before})
    if (cutoff := manifest.sessions_not_before_iso) is not None:
        statements.append(_deny("SessionsBeforeCutoff") | {"Condition": {"DateLessThan": {"aws:TokenIssueTime": cutoff}}})
    return _document(statements) if statements else None


def full_denial() -> dict[str, Any]:
    """Return a document that denies everything."""
    return _document([_deny("Suspended")])


def key_session_denial() -> dict[str, Any]:
    """Return a document that denies every request of a session that was opened with an access key.

    `sts:GetSessionToken` gives whoever has a key a session of up to 36 hours that outlives the key, and no policy can forbid
    that (STS API reference, GetSessionToken). Such a session's requests carry `aws:TokenIssueTime`, and none that a key signs
    does (IAM user guide, "AWS global condition context keys"). Requests that a service makes in the holder's name, after a request
    that a key signed, are left alone: whether they carry the time is not documented.
    """
    made_by_session = {"Null": {"aws:TokenIssueTime": "false"}, "BoolIfExists": {"aws:ViaAWSService": "false"}}
    return _document([_deny("SessionsByKeys") | {"Condition": made_by_session}])


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _deny(sid: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*"}
