"""Form of a configuration: types and defaults from the template, help from its comments, the rest from the schema."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarfloat import ScalarFloat

from control_plane.research.catalogue.documents import MAX_NODES, ConfigurationProblem, OverLimit, Unreadable, compose
from control_plane.research.configurations.editing import (
    load_editable,
    parse_fragment,
    parse_number,
    parse_scalar,
    quote_ambiguous,
    to_yaml,
)

EMPTY = "{}\n"
NUMBERS = ("number", "integer")
_INDENTED_LIST = re.compile(r"^ +- ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FormField:
    """Field of the form. `kind`: bool, integer, number, text, select, lines (a list of single values) or yaml (everything else).

    `options` are the values behind `choices`; with `holds_text` the lines of a list are text, whatever they look like.
    """

    id: str
    path: tuple[str, ...]
    kind: str
    value: str
    label: str
    help: str = ""
    choices: tuple[str, ...] = ()
    is_required: bool = False
    minimum: str = ""
    maximum: str = ""
    options: tuple[Any, ...] = ()
    is_nullable: bool = False
    holds_text: bool = False

    @property
    def name(self) -> str:
        """Name as used in problems."""
        return ".".join(self.path)

    @property
    def is_on(self) -> bool:
        """True if the check box is ticked."""
        return self.value == "true"

    @property
    def rows(self) -> int:
        """Height of the text area in lines."""
        return min(12, max(3, self.value.count("\n") + 2))


@dataclass(frozen=True, slots=True)
class FormSection:
    """Group of fields; the first has no title."""

    title: str
    help: str
    fields: tuple[FormField, ...]


class ValueTooLarge(Unreadable):
    """Value typed into a field that exceeds the limits. `text` is the configuration with it, so that nothing is lost."""

    def __init__(self, problem: ConfigurationProblem, text: str) -> None:
        super().__init__(problem)
        self.text = text


def has_form(text: str) -> bool:
    """Tell whether a form can be made of this text, and has fields."""
    try:
        return bool(_keys(load_editable(text), CommentedMap()))
    except Unreadable:
        return False


def form_sections(text: str, template: str, schema: str) -> list[FormSection]:
    """Return the form of this configuration. Raises Unreadable if none can be made of the text."""
    return _sections(load_editable(text), text, template, schema)


def _sections(document: CommentedMap, text: str, template: str, schema: str) -> list[FormSection]:
    pattern, known = _mapping(template), _schema(schema)
    helps = _helps(pattern, template) | {path: words for path, words in _helps(document, text).items() if words}
    merged = _keys(document, pattern)
    top, nested = [], []
    for key in merged:
        value, usual, rules = document.get(key, pattern.get(key)), pattern.get(key), _rules(known, key)
        if isinstance(value, CommentedMap) and value and all(not isinstance(inner_value, dict) for inner_value in value.values()):
            inner = usual if isinstance(usual, CommentedMap) else CommentedMap()
            fields = tuple(
                _field(
                    (key, name),
                    value.get(name, inner.get(name)),
                    inner.get(name),
                    _rules(rules, name),
                    helps,
                    rules,
                )
                for name in _keys(value, inner)
            )
            nested.append(FormSection(_title(rules, key), _help(rules, helps, (key,)), fields))
        else:
            top.append(_field((key,), value, usual, rules, helps, known))
    return [*([FormSection("", "", tuple(top))] if top else []), *nested]


def apply_form(text: str, template: str, schema: str, given: Mapping[str, str]) -> str:
    """Return the configuration with the values from the form. Comments, order and fields unknown to the form stay.

    Raises Unreadable if no form can be made of the text, and ValueTooLarge if a typed value exceeds the limits.
    Invalid numbers stay as typed, for the check to report.
    """
    document, is_changed = load_editable(text), False
    for section in _sections(document, text, template, schema):
        for field in section.fields:
            typed = given.get(f"field-{field.id}", "true" if field.kind == "bool" and f"field-{field.id}" in given else None)
            if typed is None and field.kind != "bool":
                continue
            try:
                is_changed |= _set(document, field, typed if typed is not None else "false")
            except OverLimit as refused:
                _put(document, field, typed)
                raise ValueTooLarge(replace(refused.problem, field=field.name, line=0, column=0), to_yaml(document)) from refused
    # What nobody changed stays as it was to the letter.
    return to_yaml(document, has_indented_lists=bool(_INDENTED_LIST.search(text))) if is_changed else text


def initial_text(template: str) -> str:
    """Return the text that a new configuration starts from."""
    try:
        compose(template)
    except Unreadable:
        return ""
    return template if template.endswith("\n") else f"{template}\n"


def _set(document: CommentedMap, field: FormField, typed: str) -> bool:
    """Set the field's value, and tell whether that changed anything."""
    if typed.replace("\r\n", "\n").strip() == field.value.strip() and _has(document, field.path):
        return False
    _put(document, field, _value(field, typed.replace("\r\n", "\n")))
    return True


def _put(document: CommentedMap, field: FormField, value: Any) -> None:
    here = document
    for step in field.path[:-1]:
        here = here.setdefault(step, CommentedMap())
    here[field.path[-1]] = quote_ambiguous(value)


def _has(document: CommentedMap, path: tuple[str, ...]) -> bool:
    here: Any = document
    for step in path:
        if not isinstance(here, CommentedMap) or step not in here:
            return False
        here = here[step]
    return True


def _value(field: FormField, typed: str) -> Any:
    match field.kind:
        case "bool":
            return typed == "true"
        case "integer" | "number":
            return parse_number(typed)
        case "lines":
            return _lines(typed, holds_text=field.holds_text)
        case "yaml":
            return _nested(typed)
        case "select":
            return next((option for option in field.options if _shown(option) == typed), typed)
        case _:
            if field.is_nullable and not typed.strip():
                return None
            return typed.strip() if "\n" not in typed.strip() else typed


def _nested(typed: str) -> Any:
    try:
        return parse_fragment(typed)
    except OverLimit:
        raise
    except Unreadable:
        # As text it does not fit, which the check tells.
        return typed


def _lines(typed: str, *, holds_text: bool) -> list[Any]:
    lines = [line.strip() for line in typed.split("\n") if line.strip()]
    if len(lines) > MAX_NODES:
        raise OverLimit(ConfigurationProblem(f"It has more than {MAX_NODES:,} lines."))
    return [quote_ambiguous(line) for line in lines] if holds_text else [parse_scalar(line) for line in lines]


def _field(
    path: tuple[str, ...],
    value: Any,
    usual: Any,
    rules: dict[str, Any],
    helps: dict[tuple[str, ...], str],
    above: dict[str, Any],
) -> FormField:
    kind = _kind(value, usual, rules)
    options = tuple(rules.get("enum", ())) if kind == "select" else ()
    choices = tuple(_shown(option) for option in options)
    shown = _shown(value) if kind not in ("lines", "yaml") else _listed(value, kind)
    if choices and shown not in choices:
        choices = (shown, *choices)
    return FormField(
        # By its name: the template may change while somebody has the form open.
        id=hashlib.sha256("\0".join(path).encode()).hexdigest()[:12],
        path=path,
        kind=kind,
        value=shown,
        label=_title(rules, path[-1]),
        help=_help(rules, helps, path),
        choices=choices,
        is_required=path[-1] in above.get("required", ()),
        minimum=str(rules.get("minimum", "")),
        maximum=str(rules.get("maximum", "")),
        options=options,
        is_nullable="null" in _types(rules),
        holds_text=_wanted(rules.get("items")) == "string",
    )


def _kind(value: Any, usual: Any, rules: dict[str, Any]) -> str:
    if isinstance(rules.get("enum"), list) and not isinstance(value, (dict, list)):
        return "select"
    example = usual if usual is not None else value
    wanted = _wanted(rules)
    if isinstance(value, (dict, list)):
        is_flat = isinstance(value, list) and not any(isinstance(item, (dict, list)) for item in value)
        return "lines" if is_flat else "yaml"
    if value is None and wanted in ("array", "object"):
        return "lines" if wanted == "array" else "yaml"
    if wanted == "boolean" or (wanted is None and isinstance(example, bool)):
        return "bool" if isinstance(value, bool) or value is None else "text"
    if wanted in NUMBERS:
        return str(wanted)
    if wanted is None and isinstance(example, (int, float)) and not isinstance(example, bool):
        return "integer" if isinstance(example, int) else "number"
    return "text"


def _types(rules: Any) -> list[str]:
    """Return the types that a schema allows here."""
    types = rules.get("type") if isinstance(rules, dict) else None
    return [name for name in (types if isinstance(types, list) else [types]) if isinstance(name, str)]


def _wanted(rules: Any) -> str | None:
    """Return the type that a field is made for."""
    return next((name for name in _types(rules) if name != "null"), None)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, ScalarFloat):
        return to_yaml({"x": value}).removeprefix("x: ").strip()
    return str(value)


def _listed(value: Any, kind: str) -> str:
    if kind == "lines" and isinstance(value, list):
        return "\n".join(_shown(item) for item in value)
    return to_yaml(value).rstrip("\n") if value is not None else ""


def _keys(document: CommentedMap, pattern: CommentedMap) -> list[str]:
    """Return the template's keys in its order, then the others. Only text keys can be fields."""
    return [key for key in dict.fromkeys([*pattern, *document]) if isinstance(key, str)]


def _mapping(text: str) -> CommentedMap:
    try:
        return load_editable(text)
    except Unreadable:
        return CommentedMap()


def _schema(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _rules(schema: dict[str, Any], key: str) -> dict[str, Any]:
    properties = schema.get("properties")
    rules = properties.get(key) if isinstance(properties, dict) else None
    return rules if isinstance(rules, dict) else {}


def _title(rules: dict[str, Any], key: str) -> str:
    return str(rules.get("title") or key)


def _help(rules: dict[str, Any], helps: dict[tuple[str, ...], str], path: tuple[str, ...]) -> str:
    return str(rules.get("description") or helps.get(path, ""))


def _helps(document: CommentedMap, text: str) -> dict[tuple[str, ...], str]:
    """Return the comments of keys by path: those beside them, else those just above."""
    lines = text.split("\n")
    comments: dict[tuple[str, ...], str] = {}

    def look(mapping: CommentedMap, path: tuple[str, ...]) -> None:
        for key, value in mapping.items():
            comments[*path, str(key)] = _comment(lines, mapping.lc.key(key)[0], value)
            if isinstance(value, CommentedMap) and not path:
                look(value, (str(key),))

    look(document, ())
    return comments


def _comment(lines: list[str], parse_number: int, value: Any) -> str:
    beside = (
        lines[parse_number].partition(" #")[2].strip() if parse_number < len(lines) and not isinstance(value, CommentedSeq) else ""
    )
    if beside and " #" not in str(value):
        return beside
    above: list[str] = []
    while parse_number > 0 and (line := lines[parse_number - 1].strip()).startswith("#"):
        above.insert(0, line.lstrip("# ").rstrip())
        parse_number -= 1
    return " ".join(above)
