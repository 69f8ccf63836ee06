"""Values of a configuration that a form changes: read so that comments stay, and written so that every reader takes them alike."""

import re
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarfloat import ScalarFloat
from ruamel.yaml.scalarstring import SingleQuotedScalarString

from control_plane.research.catalogue.documents import OverLimit, Problem, Unreadable, compose, portable_text
from control_plane.research.catalogue.scalars import MAX_DIGITS, NEWEST, is_ambiguous, read_scalar

# More than this nobody fills in as a form, and reading it for one takes a second: it is changed as text.
MAX_FORM_VALUES = 1_000
# What ruamel.yaml raises for text that looks like YAML and is none, besides its own.
NO_YAML = (YAMLError, ValueError, OverflowError, RecursionError, KeyError, IndexError, TypeError, AttributeError)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")


def editable(text: str) -> CommentedMap:
    """The text as a mapping that keeps its comments. Raises Unreadable where no form can be made of it.

    None is where one value stands at several places: a field would change it at all of them.
    """
    document = compose(text, most_nodes=MAX_FORM_VALUES)
    if document.has_references or document.version != NEWEST:
        raise Unreadable(Problem("It has anchors, merge keys or a %YAML line, so it is changed as text."))
    loaded = _loaded(text)
    if not isinstance(loaded, CommentedMap):
        raise Unreadable(Problem("A configuration is a mapping: `name: value` lines.", 1, 1))
    return loaded


def fragment(typed: str) -> Any:
    """A value written as YAML, by the same rules as a whole configuration. Raises Unreadable."""
    return _loaded(portable_text(typed)[0])


def _loaded(text: str) -> Any:
    try:
        return _editor().load(text)
    except NO_YAML as error:
        raise Unreadable(Problem(f"It is no YAML that can be read: {error}")) from error


def _editor() -> YAML:
    """What reads and writes YAML so that comments and order stay."""
    yaml = YAML(typ="rt", pure=True)
    yaml.preserve_quotes = True
    yaml.allow_duplicate_keys = False
    yaml.width = 4096
    return yaml


def number(typed: str) -> Any:
    """A number that was typed into a field of its own; None for nothing. What is no number stays text. Raises OverLimit."""
    typed = typed.strip()
    if not typed:
        return None
    if len(typed) > MAX_DIGITS:
        raise OverLimit(Problem(f"A number has at most {MAX_DIGITS} digits."))
    for make in (int, float):
        try:
            value = make(typed)
        except ValueError:
            continue
        # Of more than a number can be there would be left that it is infinite.
        return typed if any(letter.isdigit() for letter in typed) and value in (float("inf"), float("-inf")) else value
    return typed


def scalar(typed: str) -> Any:
    """One line of a list: a number, true or false, nothing, or else text. Raises OverLimit."""
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
        return quoted(typed)
    kind, value = root.reading
    return quoted(value) if kind == "text" else value


def quoted(value: Any) -> Any:
    """Text in quotes where readers of YAML 1.1 take it for something else without them."""
    if type(value) is str and (is_ambiguous(value) or _reads_otherwise(value)):
        return SingleQuotedScalarString(value)
    return value


def _reads_otherwise(text: str) -> bool:
    try:
        return read_scalar(text, NEWEST)[0] != "text"
    except ValueError:
        return True


def written(value: Any, *, has_indented_lists: bool = False) -> str:
    """The value as YAML."""
    stream, yaml = StringIO(), _editor()
    if has_indented_lists:
        yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(value, stream)
    return stream.getvalue()
