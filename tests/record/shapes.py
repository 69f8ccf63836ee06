"""The shape of a JSON document: its keys and the types of its values, without the values."""

import csv
import io
import json
from collections.abc import Mapping
from functools import reduce
from typing import Any

SCALARS = ((bool, "boolean"), (int, "number"), (float, "number"), (str, "string"), (type(None), "null"))


def shape(value: Any) -> Any:
    """Return keys and types, recursively. A list has one element: the union of its elements' shapes.

    A key that some of them lack ends in `?`.
    """
    if isinstance(value, Mapping):
        return {str(key): shape(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list | tuple):
        return [reduce(union, map(shape, value))] if value else []
    return next(name for kind, name in SCALARS if isinstance(value, kind))


def union(one: Any, other: Any) -> Any:
    """The shape that holds both."""
    if one == other:
        return one
    if isinstance(one, dict) and isinstance(other, dict):
        return _union_of_keys(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return [union(one[0], other[0])] if one and other else one or other
    return " | ".join(sorted({part for each in (one, other) for part in _words(each).split(" | ")}))


def shape_of_output(text: str) -> str:
    """The shape of what a command printed: of a JSON document, of lines of JSON, or the columns of CSV. Empty for other text."""
    for parse in (json.loads, lambda given: [json.loads(line) for line in given.splitlines()]):
        try:
            return json.dumps(shape(parse(text)), indent=2, ensure_ascii=False)
        except ValueError:
            continue
    first = next(csv.reader(io.StringIO(text.lstrip("\ufeff"))), [])
    return f"columns: {', '.join(first)}" if len(first) > 1 and all(word.isprintable() and len(word) < 40 for word in first) else ""


def _union_of_keys(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    first, second = ({key.removesuffix("?"): key for key in each} for each in (one, other))
    found = {}
    for key in sorted({*first, *second}):
        if key in first and key in second:
            is_optional = any(each[key].endswith("?") for each in (first, second))
            found[f"{key}?" if is_optional else key] = union(one[first[key]], other[second[key]])
        else:
            found[f"{key}?"] = one[first[key]] if key in first else other[second[key]]
    return found


def _words(each: Any) -> str:
    return each if isinstance(each, str) else json.dumps(each, sort_keys=True)
