"""IAM statements as sets of requests: what one of them matches, and whether others match all of that.

Whatever cannot be told for certain counts as not matched, so that a comparison may ask too often and never too seldom.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from math import prod
from typing import Any, Self

# What a statement is taken apart into, at most; one that would be more is compared as a whole.
MAX_ATOMS = 5000
SESSION_NAME = "aws:userid"
SESSION_BEGAN = "aws:tokenissuetime"

Condition = tuple[tuple[str, str, frozenset[str]], ...]


@dataclass(frozen=True)
class Targets:
    """Patterns of actions, resources or principals; `excludes` where the statement names what it leaves out."""

    values: frozenset[str] = frozenset()
    excludes: bool = False

    @classmethod
    def read(cls, statement: Mapping[str, Any], word: str) -> Self:
        """What a statement says of `word`, such as Action, or of NotAction."""
        excludes = f"Not{word}" in statement
        return cls(frozenset(_texts(statement.get(f"Not{word}" if excludes else word))), excludes)

    def within(self, other: Self, *, folds_case: bool = False) -> bool:
        """Whether the other takes in all that this one does."""
        if self == other:
            return True
        narrow, wide = (other, self) if self.excludes and other.excludes else (self, other)
        if self.excludes != other.excludes:
            return not other.excludes and "*" in other.values
        return all(any(matches(pattern, one, folds_case=folds_case) for pattern in wide.values) for one in narrow.values)

    def __str__(self) -> str:
        return ("everything but " if self.excludes else "") + ", ".join(sorted(self.values))


@dataclass(frozen=True)
class Statement:
    """One statement. `whole` is its text where it is no object that could be taken apart (an intrinsic function, say)."""

    effect: str
    actions: Targets = Targets()
    resources: Targets = Targets()
    principals: Targets = Targets()
    condition: Condition = ()
    whole: str = ""

    @classmethod
    def read(cls, document: Any) -> Self:
        """One statement of a policy's document, as a template has it."""
        if not isinstance(document, Mapping) or document.get("Effect") not in ("Allow", "Deny"):
            return cls("Unknown", whole=text_of(document))
        actions, resources, principals = (Targets.read(document, word) for word in ("Action", "Resource", "Principal"))
        return cls(document["Effect"], actions, resources, principals, _condition(document.get("Condition")))

    def within(self, other: Self) -> bool:
        """Whether the other matches every request that this one matches. Their effects do not count."""
        if self.whole or other.whole:
            return self.whole == other.whole
        return (
            self.actions.within(other.actions, folds_case=True)
            and self.resources.within(other.resources)
            and self.principals.within(other.principals)
            and _implies(self.condition, other.condition)
        )

    def atoms(self) -> Iterator[Self]:
        """It, taken apart into statements of one action, one resource, one principal and one value of each condition."""
        lists = [_parts(targets) for targets in (self.actions, self.resources, self.principals)]
        conditions = [_condition_parts(one) for one in self.condition]
        if self.whole or prod([*map(len, lists), *map(len, conditions)]) > MAX_ATOMS:
            yield self
            return
        for actions, resources, principals in product(*lists):
            for condition in product(*conditions):
                yield replace(self, actions=actions, resources=resources, principals=principals, condition=tuple(condition))

    def is_over(self, session_seconds: int, now: datetime) -> bool:
        """Whether it is about sessions alone that all ended by themselves, where none lasts longer than that."""
        for operator, key, values in self.condition:
            if key == SESSION_BEGAN and operator in ("DateLessThan", "DateLessThanEquals"):
                moments = [_moment(value) for value in values]
                return all(moment is not None and moment + session_seconds <= now.timestamp() for moment in moments)
        return False

    @property
    def session_names(self) -> frozenset[str]:
        """The names of the sessions that it is about, where it is about those of certain names alone."""
        for operator, key, values in self.condition:
            if key == SESSION_NAME and operator in ("StringLike", "StringEquals"):
                found = {re.fullmatch(r"\*:([A-Za-z0-9]+)", value) for value in values}
                return frozenset(one[1] for one in found if one) if None not in found else frozenset()
        return frozenset()


def statements_of(document: Any) -> list[Statement]:
    """The statements of a policy's document; an intrinsic function in its place is one that says nothing."""
    if document is None:
        return []
    if not isinstance(document, Mapping) or "Statement" not in document:
        return [Statement.read(document)]
    found = document["Statement"]
    return [Statement.read(one) for one in (found if isinstance(found, list) else [found])]


def uncovered(statement: Statement, others: Sequence[Statement]) -> list[Statement]:
    """What of a statement is matched by none of the others."""
    if any(statement.within(other) for other in others):
        return []
    return [atom for atom in statement.atoms() if not any(atom.within(other) for other in others)]


def matches(pattern: str, text: str, *, folds_case: bool = False) -> bool:
    """Whether all that `text` stands for (it may be a pattern itself) fits the pattern."""
    if folds_case:
        pattern, text = pattern.lower(), text.lower()
    if pattern == text or pattern == "*":
        return True
    if "?" in pattern and ("*" in text or "${" in text):
        return False
    # Of the literal pieces between asterisks none may be matched by an asterisk of the text: they are of the text itself.
    expression = "".join(".*" if one == "*" else "[^*]" if one == "?" else re.escape(one) for one in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def text_of(value: Any) -> str:
    """A value of a template in words: text as it is, a reference as `${Logical.Attribute}`."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(value) == 1:
        (function, argument), *_ = value.items()
        if function == "Ref":
            return f"${{{argument}}}"
        if function == "Fn::GetAtt":
            return f"${{{argument if isinstance(argument, str) else '.'.join(map(text_of, argument))}}}"
        if function == "Fn::Join" and isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], list):
            return str(argument[0]).join(text_of(one) for one in argument[1])
        if function == "Fn::Sub" and isinstance(argument, str):
            return argument
    return json.dumps(value, sort_keys=True)


def condition_text(statement: Statement) -> str:
    """Its condition as IAM writes one; empty where it has none."""
    found: dict[str, dict[str, Any]] = {}
    for operator, key, values in statement.condition:
        found.setdefault(operator, {})[key] = sorted(values) if len(values) != 1 else next(iter(values))
    return json.dumps(found) if found else ""


def _texts(value: Any) -> Iterator[str]:
    """Texts of a list, of one value, or of principals by their kind."""
    if isinstance(value, list):
        for one in value:
            yield text_of(one)
    elif isinstance(value, Mapping) and not any(key == "Ref" or key.startswith("Fn::") for key in value):
        for kind, inner in value.items():
            yield from (f"{kind}:{one}" for one in _texts(inner))
    elif value is not None:
        yield text_of(value)


def _condition(value: Any) -> Condition:
    if not value:
        return ()
    if not isinstance(value, Mapping):
        return (("Unknown", "", frozenset({text_of(value)})),)
    found = []
    for operator, keys in sorted(value.items()):
        if not isinstance(keys, Mapping):
            found.append((str(operator), "", frozenset({text_of(keys)})))
            continue
        # IAM takes keys in any letters.
        found += [(str(operator), str(key).lower(), frozenset(_texts(inner))) for key, inner in sorted(keys.items())]
    return tuple(found)


def _implies(narrow: Condition, wide: Condition) -> bool:
    """Whether whatever meets the one condition meets the other."""
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
        return all(any(matches(pattern, one) for pattern in theirs) for one in mine)
    return mine <= theirs


def _meets_bound(operator: str, mine: frozenset[str], theirs: frozenset[str]) -> bool:
    read = _moment if operator.startswith("Date") else _number
    held, wanted = [read(one) for one in mine], [read(one) for one in theirs]
    known_held, known_wanted = [one for one in held if one is not None], [one for one in wanted if one is not None]
    if len(known_held) != len(held) or len(known_wanted) != len(wanted) or not held or not wanted:
        return False
    # Of several values one is enough.
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
    return [Targets(frozenset({one})) for one in sorted(targets.values)]


def _condition_parts(one: tuple[str, str, frozenset[str]]) -> list[tuple[str, str, frozenset[str]]]:
    operator, key, values = one
    # Whoever must match one of several values matches the first, or the second, ...; of all the others that does not hold.
    if ":" in operator or "Not" in operator or len(values) < 2:
        return [one]
    return [(operator, key, frozenset({value})) for value in sorted(values)]
