"""Effective access of a principal in S3, evaluated from policy documents alone. Pure: no AWS, no database.

Where a document cannot be evaluated exactly (a condition, a pattern that overlaps another), the result allows more than IAM
does, never less: a review must not overlook anything. The rules are those of the IAM user guide, "Policy evaluation logic".
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Document = dict[str, Any]


class Right(StrEnum):
    """A right to the files of a bucket."""

    LIST = "list"
    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    PURGE = "purge"


ACTIONS = {
    "s3:ListBucket": Right.LIST,
    "s3:ListBucketVersions": Right.LIST,
    "s3:GetObject": Right.READ,
    "s3:GetObjectTagging": Right.READ,
    "s3:GetObjectVersion": Right.READ,
    "s3:PutObject": Right.WRITE,
    "s3:PutObjectTagging": Right.WRITE,
    "s3:DeleteObject": Right.DELETE,
    "s3:DeleteObjectVersion": Right.PURGE,
}
# Actions on a bucket, not on its objects.
LIST_ACTIONS = ("s3:ListBucket", "s3:ListBucketVersions")
# These show or change no file that the actions above do not.
HARMLESS_ACTIONS = ("s3:GetBucketLocation", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
ALLOW_ALL: Document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
S3_ARN = re.compile(r"arn:[^:]*:s3:::(.*)", re.DOTALL)


@dataclass(frozen=True, order=True)
class KeyPattern:
    """Pattern of a bucket's name and of the keys in it, each with `*` and `?`."""

    bucket: str
    keys: str

    def covers(self, other: "KeyPattern") -> bool:
        """Return whether this pattern matches everything that the other does."""
        return covers(self.bucket, other.bucket) and covers(self.keys, other.keys)


@dataclass
class EffectiveAccess:
    """Effective access of a principal: key patterns by right. `non_s3_actions` are those that have nothing to do with files."""

    patterns: dict[Right, set[KeyPattern]] = field(default_factory=dict)
    denied_sessions: tuple[str, ...] = ()
    is_denied: bool = False
    non_s3_actions: tuple[str, ...] = ()

    def denies(self, session: str) -> bool:
        """Return whether everything is denied to a role's session of this name."""
        return self.is_denied or any(covers(pattern, f"AROA:{session}") for pattern in self.denied_sessions)

    def in_buckets(self) -> dict[str, dict[Right, set[str]]]:
        """Return the rights by bucket, each with its key patterns."""
        by_bucket: dict[str, dict[Right, set[str]]] = {}
        for right, patterns in self.patterns.items():
            for pattern in patterns:
                by_bucket.setdefault(pattern.bucket, {}).setdefault(right, set()).add(pattern.keys)
        return by_bucket


def covers(pattern: str, other: str) -> bool:
    """Return whether a pattern with `*` and `?` matches all that another does (or the text itself)."""
    expression = "".join(".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in pattern)
    return re.fullmatch(expression, other, re.DOTALL) is not None


def evaluate_policies(identity: Iterable[Document], boundary: Document | None = None) -> EffectiveAccess:
    """Evaluate identity policies within a permissions boundary, if there is one."""
    allowing = [statement for statement in _statements(identity) if statement.get("Effect") == "Allow"]
    bounds = _statements([boundary]) if boundary is not None else []
    allowing_bounds = [statement for statement in bounds if statement.get("Effect") == "Allow"]
    denying = [statement for statement in [*_statements(identity), *bounds] if statement.get("Effect") == "Deny"]
    patterns: dict[Right, set[KeyPattern]] = {}
    for action, right in ACTIONS.items():
        allowed = _allowed_patterns(allowing, action)
        if boundary is not None:
            allowed = _intersection(allowed, _allowed_patterns(allowing_bounds, action))
        denied = _allowed_patterns([statement for statement in denying if not statement.get("Condition")], action)
        allowed = {pattern for pattern in allowed if not any(other.covers(pattern) for other in denied)}
        patterns.setdefault(right, set()).update(_widest(allowed))
    beyond = _non_s3_actions(allowing)
    if boundary is not None and not _non_s3_actions(allowing_bounds):
        beyond = ()
    return EffectiveAccess(
        patterns={right: allowed for right, allowed in patterns.items() if allowed},
        denied_sessions=tuple(sorted(_denied_sessions(denying))),
        is_denied=any(_denies_all(statement) and not statement.get("Condition") for statement in denying),
        non_s3_actions=beyond,
    )


def _statements(documents: Iterable[Document]) -> list[dict[str, Any]]:
    return [statement for document in documents for statement in _as_list(document.get("Statement"))]


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _applies_to(statement: dict[str, Any], action: str) -> bool:
    """Return whether the statement applies to this action. Actions are compared case-insensitively."""
    if "NotAction" in statement:
        return not any(covers(name.lower(), action.lower()) for name in _as_list(statement["NotAction"]))
    return any(covers(name.lower(), action.lower()) for name in _as_list(statement.get("Action")))


def _allowed_patterns(statements: Iterable[dict[str, Any]], action: str) -> set[KeyPattern]:
    return {
        pattern
        for statement in statements
        if _applies_to(statement, action)
        for pattern in _patterns_of_statement(statement, action)
    }


def _patterns_of_statement(statement: dict[str, Any], action: str) -> Iterable[KeyPattern]:
    if "NotResource" in statement:
        # Everything but some resources: an allow counts as all, a deny as nothing, so that no access is overlooked.
        return [KeyPattern("*", "*")] if statement.get("Effect") == "Allow" else []
    prefixes = _prefixes(statement) if action in LIST_ACTIONS else None
    return [
        pattern for resource in _as_list(statement.get("Resource")) for pattern in _patterns_of_resource(resource, action, prefixes)
    ]


def _patterns_of_resource(resource: str, action: str, prefixes: list[str] | None) -> Iterable[KeyPattern]:
    match = S3_ARN.fullmatch(resource)
    if resource == "*":
        bucket, slash, keys = "*", "/", "*"
    elif match is None:
        return []
    else:
        bucket, slash, keys = match[1].partition("/")
    if action in LIST_ACTIONS:
        if slash and resource != "*" and bucket != "*":
            return []
        return [KeyPattern(bucket, prefix) for prefix in prefixes or ["*"]]
    if not slash:
        # A `*` at the end of a bucket's name matches the slash and the keys too.
        return [KeyPattern(bucket, "*")] if bucket.endswith("*") else []
    return [KeyPattern(bucket, keys)]


def _prefixes(statement: dict[str, Any]) -> list[str] | None:
    """Return the prefixes to which a condition restricts listing; None without such a condition."""
    for operator, conditions in (statement.get("Condition") or {}).items():
        for key, values in conditions.items():
            if key.lower() == "s3:prefix" and operator in ("StringLike", "StringEquals"):
                return [str(prefix) for prefix in _as_list(values)]
    return None


def _intersection(left_patterns: set[KeyPattern], right_patterns: set[KeyPattern]) -> set[KeyPattern]:
    """Return the patterns of what both sets match."""
    return {overlap for left in left_patterns for right in right_patterns if (overlap := _overlap_of(left, right)) is not None}


def _overlap_of(left: KeyPattern, right: KeyPattern) -> KeyPattern | None:
    bucket, keys = _overlap(left.bucket, right.bucket), _overlap(left.keys, right.keys)
    return None if bucket is None or keys is None else KeyPattern(bucket, keys)


def _overlap(left: str, right: str) -> str | None:
    if covers(right, left):
        return left
    if covers(left, right):
        return right
    fixed = [pattern.split("*")[0].split("?")[0] for pattern in (left, right)]
    is_apart = not (fixed[0].startswith(fixed[1]) or fixed[1].startswith(fixed[0]))
    # Two patterns that may overlap: the longer one stands for the overlap, and allows more than it at most.
    return None if is_apart or not all({"*", "?"} & set(pattern) for pattern in (left, right)) else max(left, right, key=len)


def _widest(patterns: set[KeyPattern]) -> set[KeyPattern]:
    """Return the patterns that no other covers."""
    return {pattern for pattern in patterns if not any(other != pattern and other.covers(pattern) for other in patterns)}


def _denies_all(statement: dict[str, Any]) -> bool:
    return "*" in _as_list(statement.get("Resource")) and all(_applies_to(statement, action) for action in ACTIONS)


def _denied_sessions(denying: Sequence[dict[str, Any]]) -> Iterable[str]:
    """Return the sessions, as patterns of `aws:userid`, to which everything is denied."""
    for statement in denying:
        condition = statement.get("Condition") or {}
        if _denies_all(statement) and list(condition) in (["StringLike"], ["StringEquals"]):
            [conditions] = condition.values()
            if [key.lower() for key in conditions] == ["aws:userid"]:
                yield from (str(session) for values in conditions.values() for session in _as_list(values))


def _non_s3_actions(allowing: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """Return the allowed actions that are neither about files nor harmless."""
    allowing = [statement for statement in allowing if not _is_kms_through_s3(statement)]
    known = {name.lower() for name in (*ACTIONS, *HARMLESS_ACTIONS)}
    actions = {action for statement in allowing for action in _as_list(statement.get("Action"))}
    beyond = {action for action in actions if action.lower() not in known}
    return tuple(sorted(beyond | ({"all but a few"} if any("NotAction" in statement for statement in allowing) else set())))


def _is_kms_through_s3(statement: dict[str, Any]) -> bool:
    """Return whether it allows KMS keys through S3 alone: that shows no file which the rights to files do not."""
    actions = [str(action).lower() for action in _as_list(statement.get("Action"))]
    services = [
        str(value)
        for conditions in (statement.get("Condition") or {}).values()
        for key, values in conditions.items()
        if key.lower() == "kms:viaservice"
        for value in _as_list(values)
    ]
    return (
        bool(actions and services)
        and all(action.startswith("kms:") for action in actions)
        and all(service.startswith("s3.") for service in services)
    )
