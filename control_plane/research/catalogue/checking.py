"""Validation of configurations: readable YAML of one mapping that fits the analysis's template and schema.

A schema's references are looked up within the schema alone.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import jsonschema
from jsonschema.validators import extend, validator_for
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

from control_plane.research.catalogue.documents import (
    ConfigurationProblem,
    Node,
    OverLimit,
    Rewriting,
    Unreadable,
    compose,
    json_value,
)

MAX_REPORTED = 20
# Problems that are collected; the first of them by line are reported.
MAX_COLLECTED = 200


def check_configuration(text: str, template: str = "", schema: str = "") -> list[ConfigurationProblem]:
    """Return the problems of a configuration, errors first, at most MAX_REPORTED. Warnings do not prevent saving."""
    try:
        return _problems(text, template, schema)
    except Unreadable as refused:
        return [refused.problem]


def check_stored_configuration(text: str, template: str = "", schema: str = "") -> list[ConfigurationProblem]:
    """Return the problems of a text that S3 holds already.

    Like `check_configuration`, but a text over the limits gets one warning only: it was not checked.
    """
    try:
        return _problems(text, template, schema)
    except OverLimit as refused:
        message = f"{refused.problem.message} So it was not checked. The back end is given it as it is."
        return [replace(refused.problem, message=message, is_warning=True)]
    except Unreadable as refused:
        return [refused.problem]


def _problems(text: str, template: str, schema: str) -> list[ConfigurationProblem]:
    root, rewritings = _mapping(text)
    violations = _against_schema(root, schema) if schema.strip() else _against_template(root, template)
    problems = [*islice(violations, MAX_COLLECTED), *map(_rewriting_warning, rewritings[:MAX_COLLECTED])]
    problems.sort(key=lambda problem: (problem.is_warning, problem.line))
    return problems[:MAX_REPORTED]


def parse_configuration(text: str) -> dict[str, Any]:
    """Return the configuration's values, dates as text. Raises Unreadable."""
    document: dict[str, Any] = json_value(_mapping(text)[0])
    return document


def _mapping(text: str) -> tuple[Node, list[Rewriting]]:
    document = compose(text)
    root = document.root
    if root is None or (root.reading == ("null", None) and root.kind == "scalar"):
        raise Unreadable(ConfigurationProblem("It is empty. A configuration is a list of `name: value` lines.", 1, 1))
    if root.kind != "map":
        type_in_words = "a list" if root.kind == "list" else "a single value"
        raise Unreadable(ConfigurationProblem(f"It is {type_in_words}. A configuration is a mapping: `name: value` lines.", 1, 1))
    return root, document.rewritings


def _rewriting_warning(rewriting: Rewriting) -> ConfigurationProblem:
    return ConfigurationProblem(
        f"Some programs take {_cut(rewriting.was)} for something else (YAML 1.1). Saving writes {_cut(rewriting.written)} instead.",
        rewriting.line,
        is_warning=True,
    )


def check_schema(schema: str) -> dict[str, Any]:
    """Return the schema, parsed. Raises Unreadable unless it is a JSON Schema."""
    try:
        document = json.loads(schema)
    except json.JSONDecodeError as error:
        raise Unreadable(ConfigurationProblem(f"The schema is no JSON: {error.msg}.", error.lineno, error.colno)) from error
    except (ValueError, RecursionError) as error:
        raise Unreadable(ConfigurationProblem(f"The schema is no JSON that can be read: {error}.")) from error
    if not isinstance(document, dict):
        raise Unreadable(ConfigurationProblem("The schema is no JSON object."))
    try:
        validator_for(document, default=jsonschema.Draft202012Validator).check_schema(document)
    except jsonschema.SchemaError as error:
        raise Unreadable(
            ConfigurationProblem(f"The schema is no JSON Schema: {error.message}", field=_field_name(error.absolute_path))
        ) from error
    except RecursionError as error:
        raise Unreadable(ConfigurationProblem("The schema is nested too deeply.")) from error
    return document


def _against_schema(root: Node, schema: str) -> Iterator[ConfigurationProblem]:
    try:
        known = check_schema(schema)
    except Unreadable as refused:
        yield ConfigurationProblem(
            f"{refused.problem} The analysis’s own schema is broken, so this was not checked.", is_warning=True
        )
        return
    kind_of_schema = validator_for(known, default=jsonschema.Draft202012Validator)
    made_for = extend(kind_of_schema, {"uniqueItems": _unique_items})  # type: ignore[no-untyped-call]
    # Without a registry of its own it would fetch what `$ref` names, from the network and from the disk.
    validator = made_for(known, registry=EMPTY_REGISTRY)
    try:
        for error in validator.iter_errors(_without_infinities(json_value(root))):
            path = [*error.absolute_path, *_unexpected_key(error)]
            line, column = _position(root, path)
            yield ConfigurationProblem(_cut(error.message, 300), line, column, _field_name(path))
    except Unresolvable as error:
        yield ConfigurationProblem(
            f"The analysis’s schema refers to {error.ref}, which is not in it, so this was not checked.", is_warning=True
        )
    except OverflowError as error:
        yield ConfigurationProblem(f"A number is too large to be checked against the analysis’s schema ({error}).", is_warning=True)
    except (RecursionError, re.error) as error:
        yield ConfigurationProblem(f"The analysis’s schema cannot be used ({error}), so this was not checked.", is_warning=True)


def _unique_items(_: Any, wanted: Any, instance: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """Validate `uniqueItems` like jsonschema's own validator, which compares each pair where items cannot be sorted."""
    if not (wanted and isinstance(instance, list)):
        return
    seen: set[str] = set()
    for item in instance:
        # 1 and 1.0 are one number; true is none.
        letters = json.dumps(_without_whole_floats(item), sort_keys=True)
        if letters in seen:
            yield jsonschema.ValidationError(f"{_cut(letters)} stands in the list more than once")
            return
        seen.add(letters)


def _without_whole_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_whole_floats(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_whole_floats(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _without_infinities(value: Any) -> Any:
    """Return the value with numbers that JSON does not have as text, since they are text to a schema."""
    if isinstance(value, dict):
        return {name: _without_infinities(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_infinities(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _unexpected_key(error: jsonschema.ValidationError) -> list[str]:
    """Return the first key that the schema does not know, if the error is about unknown keys; else an empty list."""
    known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    if error.validator != "additionalProperties" or not isinstance(error.instance, dict):
        return []
    return [str(key) for key in error.instance if key not in known][:1]


def _against_template(root: Node, template: str) -> Iterator[ConfigurationProblem]:
    document = json_value(root)
    try:
        known = parse_configuration(template)
    except Unreadable:
        return
    for key, value in document.items():
        line, column = _position(root, [key])
        if key not in known:
            yield ConfigurationProblem(
                "The analysis’s template has no such key; a back end may ignore it.", line, column, key, is_warning=True
            )
        elif known[key] is not None and value is not None and type_in_words(known[key]) != type_in_words(value):
            usual = type_in_words(known[key])
            yield ConfigurationProblem(
                f"The template has {usual} here, not {type_in_words(value)}.", line, column, key, is_warning=True
            )
    for key in known:
        if key not in document:
            yield ConfigurationProblem("It is in the analysis’s template and missing here.", field=key, is_warning=True)


def type_in_words(value: Any) -> str:
    """Return the type of a value in words."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, dict):
        return "a group of fields"
    return "a list" if isinstance(value, list) else "text"


def _position(root: Node, path: list[Any]) -> tuple[int, int]:
    """Return line and column of the value at this path, or of its nearest parent that exists."""
    line, column, here = 1, 1, root
    for step in path:
        if (child := here.child(step)) is None:
            break
        key, here = child
        line, column = key.line, key.column
    return line, column


def _field_name(path: Any) -> str:
    name = ""
    for step in path:
        name += f"[{step}]" if isinstance(step, int) else f"{'.' if name else ''}{step}"
    return name


def _cut(text: str, max_characters: int = 40) -> str:
    return text if len(text) <= max_characters else f"{text[: max_characters - 1]}…"
