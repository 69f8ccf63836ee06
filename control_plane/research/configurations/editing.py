"""Edits of a configuration by a form: comments stay, and every YAML reader takes the values alike."""

import re
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarfloat import ScalarFloat
from ruamel.yaml.scalarstring import SingleQuotedScalarString

from control_plane.research.catalogue.documents import ConfigurationProblem, OverLimit, Unreadable, compose, portable_text
from control_plane.research.catalogue.scalars import MAX_DIGITS, NEWEST_YAML, is_ambiguous, read_scalar

# Larger texts are edited as text: nobody fills in so long a form, and reading it takes a second.
MAX_FORM_VALUES = 1_000
# Errors of ruamel.yaml for text that looks like YAML and is not: its own, and others.
RUAMEL_ERRORS = (YAMLError, ValueError, OverflowError, RecursionError, KeyError, IndexError, TypeError, AttributeError)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")


def load_editable(text: str) -> CommentedMap:
    """Return the text as a mapping that keeps its comments. Raises Unreadable if no form can be made of it.

    That includes texts in which one value is used at several places: a field would change it at all of them.
    """
    document = compose(text, max_nodes=MAX_FORM_VALUES)
    if document.has_references or document.version != NEWEST_YAML:
        raise Unreadable(ConfigurationProblem("It has anchors, merge keys or a %YAML line, so it is changed as text."))
    loaded = _load(text)
    if not isinstance(loaded, CommentedMap):
        raise Unreadable(ConfigurationProblem("A configuration is a mapping: `name: value` lines.", 1, 1))
    return loaded


def parse_fragment(typed: str) -> Any:
    """Return a value written as YAML, by the rules for whole configurations. Raises Unreadable."""
    return _load(portable_text(typed)[0])


def _load(text: str) -> Any:
    try:
        return _yaml_editor().load(text)
    except RUAMEL_ERRORS as error:
        raise Unreadable(ConfigurationProblem(f"It is no YAML that can be read: {error}")) from error


def _yaml_editor() -> YAML:
    """Return a YAML reader and writer that keeps comments and order."""
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.allow_duplicate_keys = False
    yaml.width = 4096
    return yaml


def parse_number(typed: str) -> Any:
    """Return the number typed into a field; None if empty, the text if it is not a number. Raises OverLimit."""
    typed = typed.strip()
    if not typed:
        return None
    if len(typed) > MAX_DIGITS:
        raise OverLimit(ConfigurationProblem(f"A number has at most {MAX_DIGITS} digits."))
    for make in (int, float):
        try:
            value = make(typed)
        except ValueError:
            continue
        # A number that is too large would become infinity.
        return typed if any(letter.isdigit() for letter in typed) and value in (float("inf"), float("-inf")) else value
    return typed


def parse_scalar(typed: str) -> Any:
    """Return the value of a line of a list: a number, true or false, null, or else text. Raises OverLimit."""
    if _DECIMAL.fullmatch(typed) and len(typed) <= MAX_DIGITS:
        # As it was typed, 0.10 too.
        point = typed.index(".")
        return ScalarFloat(float(typed), width=len(typed), prec=point, m_sign=typed[0] if typed[0] == "-" else False, m_lead0=0)
    try:
        root = compose(typed).root
    except OverLimit:
        raise
    except Unreadable:
        root = None
    if root is None or root.kind != "scalar":
        return quote_ambiguous(typed)
    kind, value = root.reading
    return quote_ambiguous(value) if kind == "text" else value


def quote_ambiguous(value: Any) -> Any:
    """Return text in quotes if YAML 1.1 readers take it for something else without; other values unchanged."""
    if type(value) is str and (is_ambiguous(value) or _reads_otherwise(value)):
        return SingleQuotedScalarString(value)
    return value


def _reads_otherwise(text: str) -> bool:
    try:
        return read_scalar(text, NEWEST_YAML)[0] != "text"
    except ValueError:
        return True


def to_yaml(value: Any, *, has_indented_lists: bool = False) -> str:
    """Return the value as YAML."""
    stream, yaml = StringIO(), _yaml_editor()
    if has_indented_lists:
        yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(value, stream)
    return stream.getvalue()
