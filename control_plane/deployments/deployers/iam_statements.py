"""IAM statements as sets of requests: the requests that one matches, and whether others match all of them.

What cannot be decided counts as not matched, so that a comparison may report broader access too often, never too seldom.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from math import prod
from typing import Any, Self

# Atoms that a statement is split into, at most; one that would be more is compared as a whole.
MAX_ATOMS = 5000
SESSION_NAME = "aws:userid"
SESSION_BEGAN = "aws:tokenissuetime"

Condition = tuple[tuple[str, str, frozenset[str]], ...]


@dataclass(frozen=True)
class Targets:
    """Patterns of actions, resources or principals; `excludes` for NotAction, NotResource and NotPrincipal."""

    values: frozenset[str] = frozenset()
    excludes: bool = False

    @classmethod
    def from_statement(cls, statement: Mapping[str, Any], word: str) -> Self:
        """Read a statement's element `word`, such as Action, or its negation, such as NotAction."""
        excludes = f"Not{word}" in statement
        return cls(frozenset(_texts(statement.get(f"Not{word}" if excludes else word))), excludes)

    def within(self, other: Self, *, folds_case: bool = False) -> bool:
        """Return whether the other matches all that this one does."""
        if self == other:
            return True
        narrow, wide = (other, self) if self.excludes and other.excludes else (self, other)
        if self.excludes != other.excludes:
            return not other.excludes and "*" in other.values
        return all(any(matches(pattern, value, folds_case=folds_case) for pattern in wide.values) for value in narrow.values)

    def __str__(self) -> str:
        return ("everything but " if self.excludes else "") + ", ".join(sorted(self.values))


@dataclass(frozen=True)
class Statement:
    """One policy statement. `whole` is its text if it is no object that could be read (an intrinsic function, say)."""

    effect: str
    actions: Targets = Targets()
    resources: Targets = Targets()
    principals: Targets = Targets()
    condition: Condition = ()
    whole: str = ""

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """Read one statement of a policy document, as a template has it."""
        if not isinstance(document, Mapping) or document.get("Effect") not in ("Allow", "Deny"):
            return cls("Unknown", whole=text_of(document))
        actions, resources, principals = (Targets.from_statement(document, word) for word in ("Action", "Resource", "Principal"))
        return cls(document["Effect"], actions, resources, principals, _condition(document.get("Condition")))

    def within(self, other: Self) -> bool:
        """Return whether the other matches every request that this one matches. Their effects do not count."""
        if self.whole or other.whole:
            return self.whole == other.whole
        return (
            self.actions.within(other.actions, folds_case=True)
            and self.resources.within(other.resources)
            and self.principals.within(other.principals)
            and _implies(self.condition, other.condition)
        )

    def atoms(self) -> Iterator[Self]:
        """Split it into statements of one action, one resource, one principal and one value of each condition."""
        lists = [_parts(targets) for targets in (self.actions, self.resources, self.principals)]
        conditions = [_condition_parts(condition) for condition in self.condition]
        if self.whole or prod([*map(len, lists), *map(len, conditions)]) > MAX_ATOMS:
            yield self
            return
        for actions, resources, principals in product(*lists):
            for condition in product(*conditions):
                yield replace(self, actions=actions, resources=resources, principals=principals, condition=tuple(condition))

    def is_over(self, session_seconds: int, now: datetime) -> bool:
        """Return whether it applies only to sessions that have all ended by now, if none lasts longer than `session_seconds`."""
        for operator, key, values in self.condition:
            if key == SESSION_BEGAN and operator in ("DateLessThan", "DateLessThanEquals"):
                moments = [_moment(value) for value in values]
                return all(moment is not None and moment + session_seconds <= now.timestamp() for moment in moments)
        return False

    @property
    def session_names(self) -> frozenset[str]:
        """The names of the sessions that it applies to, if it applies to certain sessions alone; else empty."""
        for operator, key, values in self.condition:
            if key == SESSION_NAME and operator in ("StringLike", "StringEquals"):
                names = {re.fullmatch(r"\*:([A-Za-z0-9]+)", value) for value in values}
                return frozenset(name[1] for name in names if name) if None not in names else frozenset()
        return frozenset()


def statements_of(document: Any) -> list[Statement]:
    """Return the statements of a policy document; an intrinsic function in its place is one statement of unknown effect."""
    if document is None:
        return []
    if not isinstance(document, Mapping) or "Statement" not in document:
        return [Statement.from_document(document)]
    statements = document["Statement"]
    return [Statement.from_document(statement) for statement in (statements if isinstance(statements, list) else [statements])]


def uncovered(statement: Statement, others: Sequence[Statement]) -> list[Statement]:
    """Return the atoms of a statement that none of the others matches."""
    if any(statement.within(other) for other in others):
        return []
    return [atom for atom in statement.atoms() if not any(atom.within(other) for other in others)]


def matches(pattern: str, text: str, *, folds_case: bool = False) -> bool:
    """Return whether all that `text` stands for (it may be a pattern itself) matches the pattern."""
    if folds_case:
        pattern, text = pattern.lower(), text.lower()
    if pattern == text or pattern == "*":
        return True
    if "?" in pattern and ("*" in text or "${" in text):
        return False
    # Literal pieces of the pattern must be found in the text itself: an asterisk of the text matches none of them.
    expression = "".join(
        ".*" if character == "*" else "[^*]" if character == "?" else re.escape(character) for character in pattern
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


def text_of(value: Any) -> str:
    """Return a template's value as text: a string as it is, a reference as `${Logical.Attribute}`."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        (function, argument), *_ = value.items()
        if function == "Ref":
            return f"${{{argument}}}"
        if function == "Fn::GetAtt":
            return f"${{{argument if isinstance(argument, str) else '.'.join(map(text_of, argument))}}}"
        if function == "Fn::Join" and isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], list):
            return str(argument[0]).join(text_of(part) for part in argument[1])
        if function == "Fn::Sub" and isinstance(argument, str):
            return argument
    return json.dumps(value, sort_keys=True)


def condition_text(statement: Statement) -> str:
    """Return the statement's condition as IAM writes one; empty if it has none."""
    operators: dict[str, dict[str, Any]] = {}
    for operator, key, values in statement.condition:
        operators.setdefault(operator, {})[key] = sorted(values) if len(values) != 1 else next(iter(values))
    return json.dumps(operators) if operators else ""


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts of a list, of one value, or of principals by their kind."""
    if isinstance(value, list):
        for item in value:
            yield text_of(item)
    elif isinstance(value, Mapping) and not any(key == "Ref" or key.startswith("Fn::") for key in value):
        for kind, inner in value.items():
            yield from (f"{kind}:{text}" for text in _texts(inner))
    elif value is not None:
        yield text_of(value)


def _condition(value: Any) -> Condition:
    if not value:
        return ()
    if not isinstance(value, Mapping):
        return (("Unknown", "", frozenset({text_of(value)})),)
    parts = []
    for operator, keys in sorted(value.items()):
        if not isinstance(keys, Mapping):
            parts.append((str(operator), "", frozenset({text_of(keys)})))
            continue
        # IAM's condition keys are case-insensitive.
        parts += [(str(operator), str(key).lower(), frozenset(_texts(inner))) for key, inner in sorted(keys.items())]
    return tuple(parts)


def _implies(narrow: Condition, wide: Condition) -> bool:
    """Return whether every request that meets the one condition meets the other."""
    return all(any(_meets(held, wanted) for held in narrow) for wanted in wide)


def _meets(held: tuple[str, str, frozenset[str]], wanted: tuple[str, str, frozenset[str]]) -> bool:
    if held[:2] != wanted[:2]:
        return False
    operator, mine, theirs = held[0].split(":")[-1].removesuffix("IfExists"), held[2], wanted[2]
    if mine == theirs:
        return True
    if operator.startswith(("DateLess", "NumericLess", "DateGreater", "NumericGreater")):
        return _meets_bound(operator, mine, theirs)
    if "Not" in operator:
        return mine >= theirs
    if operator in ("StringLike", "ArnLike", "ArnEquals"):
        return all(any(matches(pattern, value) for pattern in theirs) for value in mine)
    return mine <= theirs


def _meets_bound(operator: str, mine: frozenset[str], theirs: frozenset[str]) -> bool:
    parse = _moment if operator.startswith("Date") else _number
    held, wanted = [parse(text) for text in mine], [parse(text) for text in theirs]
    known_held, known_wanted = [bound for bound in held if bound is not None], [bound for bound in wanted if bound is not None]
    if len(known_held) != len(held) or len(known_wanted) != len(wanted) or not held or not wanted:
        return False
    # A condition is met by any of its values.
    return max(known_held) <= max(known_wanted) if "Less" in operator else min(known_held) >= min(known_wanted)


def _moment(value: str) -> float | None:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return _number(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _parts(targets: Targets) -> list[Targets]:
    if targets.excludes or len(targets.values) < 2:
        return [targets]
    return [Targets(frozenset({value})) for value in sorted(targets.values)]


def _condition_parts(part: tuple[str, str, frozenset[str]]) -> list[tuple[str, str, frozenset[str]]]:
    operator, key, values = part
    # Only operators that are met by any of their values can be split by value: not ForAllValues and ForAnyValue, nor negations.
    if ":" in operator or "Not" in operator or len(values) < 2:
        return [part]
    return [(operator, key, frozenset({value})) for value in sorted(values)]
