"""Whether a configuration is what its analysis takes: YAML that can be read, of one mapping, that fits template and schema.

Nothing is executed or fetched: tags other than YAML's own are refused, aliases are not taken at all, and a schema's references
are looked up within the schema alone.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from io import StringIO
from typing import Any

import jsonschema
from jsonschema.validators import validator_for
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, NodeEvent
from ruamel.yaml.reader import ReaderError

# A configuration is a page or two; a person reads all of it.
MOST_BYTES = 100_000
MOST_DEPTH = 20
MOST_TOLD = 20
# What ruamel raises for text that looks like YAML and is none: `!!bool abc` is a KeyError, `!!int ''` an IndexError.
NO_YAML = (YAMLError, ValueError, OverflowError, RecursionError, KeyError, IndexError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: `line` and `column` count from 1, 0 where there is none; `field` as `a.b[0]`."""

    message: str
    line: int = 0
    column: int = 0
    field: str = ""
    is_warning: bool = False

    def __str__(self) -> str:
        where = ", ".join(
            part for part in (f"line {self.line}" if self.line else "", f"field {self.field}" if self.field else "") if part
        )
        return f"{where[:1].upper()}{where[1:]}: {self.message}" if where else self.message


class Unreadable(Exception):
    """Text that is no configuration. `problem` says why and where."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def check(text: str, template: str = "", schema: str = "") -> list[Problem]:
    """All that is wrong with a configuration, errors first, MOST_TOLD at most. Warnings do not keep it from being saved."""
    try:
        document = read(text)
    except Unreadable as refused:
        return [refused.problem]
    problems = list(_against_schema(document, schema)) if schema.strip() else list(_against_template(document, template))
    problems.sort(key=lambda one: (one.is_warning, one.line))
    return problems[:MOST_TOLD]


def read(text: str) -> CommentedMap:
    """The configuration as a mapping that knows its lines and comments. Raises Unreadable."""
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise Unreadable(Problem(f"It has more than the {MOST_BYTES // 1000} kB that a configuration may have."))
    document = fragment(text)
    if document is None:
        raise Unreadable(Problem("It is empty. A configuration is a list of `name: value` lines.", 1, 1))
    if not isinstance(document, CommentedMap):
        kind = "a list" if isinstance(document, CommentedSeq) else "a single value"
        raise Unreadable(Problem(f"It is {kind}. A configuration is a mapping: `name: value` lines.", 1, 1))
    return document


def fragment(text: str) -> Any:
    """A value written as YAML, by the same rules. Raises Unreadable."""
    _look_through(text)
    try:
        return editor().load(text)
    except MarkedYAMLError as error:
        raise Unreadable(_told(error)) from error
    except NO_YAML as error:
        raise Unreadable(Problem(f"It is no YAML that can be read: {error}")) from error


def editor() -> YAML:
    """What reads and writes YAML so that comments and order stay."""
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.allow_duplicate_keys = False
    yaml.width = 4096
    return yaml


def plain(value: Any) -> Any:
    """The value as JSON has it, for a schema. Dates are text, as in a schema's `format`."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def check_schema(schema: str) -> dict[str, Any]:
    """The schema, if it is one. Raises Unreadable."""
    try:
        document = json.loads(schema)
    except json.JSONDecodeError as error:
        raise Unreadable(Problem(f"The schema is no JSON: {error.msg}.", error.lineno, error.colno)) from error
    if not isinstance(document, dict):
        raise Unreadable(Problem("The schema is no JSON object."))
    try:
        validator_for(document, default=jsonschema.Draft202012Validator).check_schema(document)
    except jsonschema.SchemaError as error:
        raise Unreadable(Problem(f"The schema is no JSON Schema: {error.message}", field=_name(error.absolute_path))) from error
    return document


def _look_through(text: str) -> None:
    """Refuse what would be costly or dangerous to build: aliases, foreign tags, great depth."""
    depth = 0
    try:
        for event in editor().parse(StringIO(text)):
            mark = event.start_mark
            line, column = mark.line + 1, mark.column + 1
            if isinstance(event, AliasEvent):
                raise Unreadable(Problem(f"Aliases (*{event.anchor}) are not taken; write the value out.", line, column))
            tag = getattr(event, "tag", None)
            if isinstance(event, NodeEvent) and tag is not None and not _is_plain(str(tag)):
                raise Unreadable(Problem(f"The tag {tag} is not taken; write the value without it.", line, column))
            name = type(event).__name__
            depth += name.endswith("StartEvent") - name.endswith("EndEvent")
            if depth > MOST_DEPTH:
                raise Unreadable(Problem(f"It is nested deeper than {MOST_DEPTH} levels.", line, column))
    except MarkedYAMLError as error:
        raise Unreadable(_told(error)) from error
    except ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise Unreadable(
            Problem(f"It holds a character that YAML does not take (code {ord(text[error.position])}).", line)
        ) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(Problem(f"It is no YAML that can be read: {error}")) from error


def _is_plain(tag: str) -> bool:
    kinds = ("str", "int", "float", "bool", "null", "map", "seq", "timestamp")
    return tag in ("!", "?") or any(tag in (f"{prefix}{kind}" for kind in kinds) for prefix in ("tag:yaml.org,2002:", "!!"))


def _told(error: MarkedYAMLError) -> Problem:
    # A quote or a bracket that is never closed: where it was opened says more than where the text ends.
    is_open = "end of stream" in (error.problem or "") or "stream end" in (error.problem or "")
    marks = (error.context_mark, error.problem_mark) if is_open else (error.problem_mark, error.context_mark)
    mark = marks[0] or marks[1]
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    message = " ".join(part for part in (error.problem, f"({error.context})" if error.context else "") if part)
    if "\\t" in repr(error.problem or "") or "'\\t'" in (error.problem or ""):
        message = "a tab where YAML wants spaces"
    return Problem(f"It is no YAML that can be read: {message or 'it is broken'}.", line, column)


def _against_schema(document: CommentedMap, schema: str) -> Iterator[Problem]:
    try:
        known = check_schema(schema)
    except Unreadable as refused:
        yield Problem(f"{refused.problem} The analysis’s own schema is broken, so this was not checked.", is_warning=True)
        return
    # Without a registry of its own it would fetch what `$ref` names, from the network and from the disk.
    validator = validator_for(known, default=jsonschema.Draft202012Validator)(known, registry=EMPTY_REGISTRY)
    try:
        for error in validator.iter_errors(plain(document)):
            path = [*error.absolute_path, *_unexpected(error)]
            line, column = _place(document, path)
            yield Problem(_shortened(error.message), line, column, _name(path))
    except Unresolvable as error:
        yield Problem(f"The analysis’s schema refers to {error.ref}, which is not in it, so this was not checked.", is_warning=True)
    except (RecursionError, re.error) as error:
        yield Problem(f"The analysis’s schema cannot be used ({error}), so this was not checked.", is_warning=True)


def _unexpected(error: jsonschema.ValidationError) -> list[str]:
    """The first key that the schema does not know, where that is what it complains of."""
    known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    if error.validator != "additionalProperties" or not isinstance(error.instance, dict):
        return []
    return [str(key) for key in error.instance if key not in known][:1]


def _against_template(document: CommentedMap, template: str) -> Iterator[Problem]:
    try:
        known = read(template)
    except Unreadable:
        return
    for key, value in document.items():
        line, column = _place(document, [key])
        if key not in known:
            yield Problem(
                "The analysis’s template has no such key; its back end may ignore it.", line, column, str(key), is_warning=True
            )
        elif known[key] is not None and value is not None and not _alike(known[key], value):
            usual = kind(known[key])
            yield Problem(f"The template has {usual} here, not {kind(value)}.", line, column, str(key), is_warning=True)
    for key in known:
        if key not in document:
            yield Problem("It is in the analysis’s template and missing here.", field=str(key), is_warning=True)


def kind(value: Any) -> str:
    """What a value is, in words."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, dict):
        return "a group of fields"
    return "a list" if isinstance(value, list) else "text"


def _alike(usual: Any, value: Any) -> bool:
    return kind(usual) == kind(value)


def _place(document: Any, path: list[Any]) -> tuple[int, int]:
    """Line and column of what lies at this path, or of the nearest that is there."""
    line, column, here = 1, 1, document
    for step in path:
        try:
            found = here.lc.key(step) if isinstance(here, CommentedMap) else here.lc.item(step)
            here = here[step]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
        line, column = found[0] + 1, found[1] + 1
    return line, column


def _name(path: Any) -> str:
    name = ""
    for step in path:
        name += f"[{step}]" if isinstance(step, int) else f"{'.' if name else ''}{step}"
    return name


def _shortened(message: str) -> str:
    return message if len(message) <= 300 else f"{message[:299]}…"
