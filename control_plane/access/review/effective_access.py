"""What policies let a principal reach in S3, from their documents alone. Pure: no AWS, no database.

Where a document cannot be judged to the end (a condition, a pattern that overlaps another), more is said to be allowed than may
be, never less: a review must not overlook anything. The rules are those of the IAM user guide, "Policy evaluation logic".
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Document = dict[str, Any]


class Can(StrEnum):
    """What can be done to the files of a bucket."""

    LIST = "list"
    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    PURGE = "purge"


ACTIONS = {
    "s3:ListBucket": Can.LIST,
    "s3:ListBucketVersions": Can.LIST,
    "s3:GetObject": Can.READ,
    "s3:GetObjectTagging": Can.READ,
    "s3:GetObjectVersion": Can.READ,
    "s3:PutObject": Can.WRITE,
    "s3:PutObjectTagging": Can.WRITE,
    "s3:DeleteObject": Can.DELETE,
    "s3:DeleteObjectVersion": Can.PURGE,
}
# About a bucket, not its objects.
LISTING = ("s3:ListBucket", "s3:ListBucketVersions")
# They let nobody see or change a file that the actions above do not.
HARMLESS = ("s3:GetBucketLocation", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
ANYTHING: Document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
S3_ARN = re.compile(r"arn:[^:]*:s3:::(.*)", re.DOTALL)


@dataclass(frozen=True, order=True)
class Place:
    """A bucket and the keys in it, as patterns with `*` and `?`."""

    bucket: str
    keys: str

    def covers(self, other: "Place") -> bool:
        """Whether everything in the other place lies in this one."""
        return covers(self.bucket, other.bucket) and covers(self.keys, other.keys)


@dataclass
class Reach:
    """What a principal can do where. `beyond`: actions that have nothing to do with files."""

    places: dict[Can, set[Place]] = field(default_factory=dict)
    denied_sessions: tuple[str, ...] = ()
    is_denied: bool = False
    beyond: tuple[str, ...] = ()

    def denies(self, session: str) -> bool:
        """Whether everything is denied to a role's session of this name."""
        return self.is_denied or any(covers(pattern, f"AROA:{session}") for pattern in self.denied_sessions)

    def in_buckets(self) -> dict[str, dict[Can, set[str]]]:
        """The same by bucket: what can be done to which keys."""
        found: dict[str, dict[Can, set[str]]] = {}
        for can, places in self.places.items():
            for place in places:
                found.setdefault(place.bucket, {}).setdefault(can, set()).add(place.keys)
        return found


def covers(pattern: str, other: str) -> bool:
    """Whether a pattern with `*` and `?` takes in all that another one does (or the text itself)."""
    expression = "".join(".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in pattern)
    return re.fullmatch(expression, other, re.DOTALL) is not None


def work_out(identity: Iterable[Document], boundary: Document | None = None) -> Reach:
    """What these policies let whoever carries them do, within the boundary if there is one."""
    allowing = [one for one in _statements(identity) if one.get("Effect") == "Allow"]
    bounds = _statements([boundary]) if boundary is not None else []
    denying = [one for one in [*_statements(identity), *bounds] if one.get("Effect") == "Deny"]
    places: dict[Can, set[Place]] = {}
    for action, can in ACTIONS.items():
        found = _places(allowing, action)
        if boundary is not None:
            found = _meet(found, _places([one for one in bounds if one.get("Effect") == "Allow"], action))
        denied = _places([one for one in denying if not one.get("Condition")], action)
        found = {place for place in found if not any(one.covers(place) for one in denied)}
        places.setdefault(can, set()).update(_widest(found))
    beyond = _beyond(allowing)
    if boundary is not None and not _beyond([one for one in bounds if one.get("Effect") == "Allow"]):
        beyond = ()
    return Reach(
        places={can: found for can, found in places.items() if found},
        denied_sessions=tuple(sorted(_denied_sessions(denying))),
        is_denied=any(_denies_all(one) and not one.get("Condition") for one in denying),
        beyond=beyond,
    )


def _statements(documents: Iterable[Document]) -> list[dict[str, Any]]:
    return [statement for document in documents for statement in _each(document.get("Statement"))]


def _each(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _names(statement: dict[str, Any], action: str) -> bool:
    """Whether the statement is about this action. Actions are compared without regard to capitals."""
    if "NotAction" in statement:
        return not any(covers(one.lower(), action.lower()) for one in _each(statement["NotAction"]))
    return any(covers(one.lower(), action.lower()) for one in _each(statement.get("Action")))


def _places(statements: Iterable[dict[str, Any]], action: str) -> set[Place]:
    return {place for one in statements if _names(one, action) for place in _of_statement(one, action)}


def _of_statement(statement: dict[str, Any], action: str) -> Iterable[Place]:
    if "NotResource" in statement:
        # All but something: to allow it is to allow nearly all, to deny it is not counted on.
        return [Place("*", "*")] if statement.get("Effect") == "Allow" else []
    prefixes = _prefixes(statement) if action in LISTING else None
    return [place for one in _each(statement.get("Resource")) for place in _of_resource(one, action, prefixes)]


def _of_resource(resource: str, action: str, prefixes: list[str] | None) -> Iterable[Place]:
    match = S3_ARN.fullmatch(resource)
    if resource == "*":
        bucket, slash, keys = "*", "/", "*"
    elif match is None:
        return []
    else:
        bucket, slash, keys = match[1].partition("/")
    if action in LISTING:
        if slash and resource != "*" and bucket != "*":
            return []
        return [Place(bucket, prefix) for prefix in prefixes or ["*"]]
    if not slash:
        # A star at the end of a bucket's name stands for the slash and the keys too.
        return [Place(bucket, "*")] if bucket.endswith("*") else []
    return [Place(bucket, keys)]


def _prefixes(statement: dict[str, Any]) -> list[str] | None:
    """Where a right to list is bound to, if its condition says so."""
    for operator, conditions in (statement.get("Condition") or {}).items():
        for key, values in conditions.items():
            if key.lower() == "s3:prefix" and operator in ("StringLike", "StringEquals"):
                return [str(one) for one in _each(values)]
    return None


def _meet(one: set[Place], other: set[Place]) -> set[Place]:
    """What lies in both."""
    return {place for left in one for right in other if (place := _narrower(left, right)) is not None}


def _narrower(left: Place, right: Place) -> Place | None:
    bucket, keys = _overlap(left.bucket, right.bucket), _overlap(left.keys, right.keys)
    return None if bucket is None or keys is None else Place(bucket, keys)


def _overlap(left: str, right: str) -> str | None:
    if covers(right, left):
        return left
    if covers(left, right):
        return right
    fixed = [one.split("*")[0].split("?")[0] for one in (left, right)]
    is_apart = not (fixed[0].startswith(fixed[1]) or fixed[1].startswith(fixed[0]))
    # Two patterns that may have something in common: the longer one, which says more than is allowed at the most.
    return None if is_apart or not all({"*", "?"} & set(one) for one in (left, right)) else max(left, right, key=len)


def _widest(places: set[Place]) -> set[Place]:
    """Without those that others take in."""
    return {place for place in places if not any(one != place and one.covers(place) for one in places)}


def _denies_all(statement: dict[str, Any]) -> bool:
    return "*" in _each(statement.get("Resource")) and all(_names(statement, action) for action in ACTIONS)


def _denied_sessions(denying: Sequence[dict[str, Any]]) -> Iterable[str]:
    """The sessions, by patterns of `aws:userid`, to which everything is denied."""
    for statement in denying:
        condition = statement.get("Condition") or {}
        if _denies_all(statement) and list(condition) in (["StringLike"], ["StringEquals"]):
            [conditions] = condition.values()
            if [key.lower() for key in conditions] == ["aws:userid"]:
                yield from (str(one) for values in conditions.values() for one in _each(values))


def _beyond(allowing: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """The allowed actions that are neither about files nor harmless."""
    allowing = [one for one in allowing if not _only_by_way_of_s3(one)]
    known = {name.lower() for name in (*ACTIONS, *HARMLESS)}
    actions = {one for statement in allowing for one in _each(statement.get("Action"))}
    found = {one for one in actions if one.lower() not in known}
    return tuple(sorted(found | ({"all but a few"} if any("NotAction" in one for one in allowing) else set())))


def _only_by_way_of_s3(statement: dict[str, Any]) -> bool:
    """Whether it allows the use of keys where S3 asks for it, which shows nobody a file that the rights to files do not."""
    actions = [str(one).lower() for one in _each(statement.get("Action"))]
    services = [
        str(value)
        for conditions in (statement.get("Condition") or {}).values()
        for key, values in conditions.items()
        if key.lower() == "kms:viaservice"
        for value in _each(values)
    ]
    return (
        bool(actions and services)
        and all(one.startswith("kms:") for one in actions)
        and all(one.startswith("s3.") for one in services)
    )
