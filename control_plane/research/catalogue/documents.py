"""YAML documents whose values know their lines, within limits that hold before anything is built.

Nothing is executed or fetched: tags other than YAML's own are refused. Anchors, aliases and merge keys are read; the value of an
alias counts each time it is used. libyaml (by PyYAML) parses the structure, a hundred times as fast as a parser in Python; plain
scalars are read by `scalars`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import yaml

from control_plane.research.catalogue.scalars import (
    MAX_DIGITS,
    NEWEST_YAML,
    Reading,
    TooManyDigits,
    YamlVersion,
    portable,
    read_scalar,
    read_tagged,
)

# Limits of the text, and of the values in it with every alias written out.
MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 50
_PREFIX = "tag:yaml.org,2002:"
_SCALAR_TAGS = ("str", "int", "float", "bool", "null", "timestamp")
_ANCHOR = re.compile(r"&\S+(?:\s+#[^\n]*\n)*\s*")
_UNWRITABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class ConfigurationProblem:
    """Problem in a configuration: message and position.

    `line` and `column` count from 1, 0 where there is none; `field` is a path such as `a.b[0]`.
    """

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
    """Text that is not a configuration. `problem` says why and where."""

    def __init__(self, problem: ConfigurationProblem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class OverLimit(Unreadable):
    """Text that may be a configuration, but exceeds the limits."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Scalar that readers interpret differently: its position in the text, and the replacement that all of them read alike."""

    start: int
    end: int
    line: int
    was: str
    written: str


class Node:
    """Value and its position. `size`, `weight` and `height` include everything in it, with aliases written out."""

    __slots__ = ("column", "fields", "height", "items", "kind", "line", "reading", "size", "weight")

    def __init__(self, kind: str, line: int, column: int, reading: Reading = ("null", None)) -> None:
        self.kind, self.line, self.column, self.reading = kind, line, column, reading
        self.size, self.weight, self.height = 1, 1, 0 if kind == "scalar" else 1
        self.items: list[Node] = []
        # By name: the key and the value.
        self.fields: dict[str, tuple[Node, Node]] = {}

    def child(self, step: Any) -> "tuple[Node, Node] | None":
        """Return the key and the value of a field, or a list item twice. None if it does not exist."""
        if self.kind == "list" and isinstance(step, int) and 0 <= step < len(self.items):
            return self.items[step], self.items[step]
        return self.fields.get(str(step))


@dataclass(slots=True)
class Document:
    """Parsed text. `has_references` if one value is used at several places; then, as with a version, no form is made."""

    root: Node | None = None
    version: YamlVersion = NEWEST_YAML
    has_references: bool = False
    rewritings: list[Rewriting] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Number of values, including keys."""
        return self.root.size if self.root else 0


def compose(text: str, *, max_nodes: int = MAX_NODES) -> Document:
    """Parse a text. Raises OverLimit if it exceeds the limits, Unreadable if it is not YAML; both name the line."""
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise OverLimit(ConfigurationProblem(f"It has more than the {MAX_BYTES // 1_000_000} MB that a configuration may have."))
    if unwritable := _UNWRITABLE.search(text.removeprefix("\ufeff")):
        line = text.count("\n", 0, unwritable.start()) + 1
        raise Unreadable(ConfigurationProblem(f"It holds a character that YAML does not take (code {ord(unwritable[0])}).", line))
    try:
        return _Composer(text, max_nodes).compose()
    except yaml.MarkedYAMLError as error:
        raise Unreadable(_parser_problem(error, text)) from error
    except yaml.YAMLError as error:
        raise Unreadable(ConfigurationProblem(f"It is no YAML that can be read: {error}")) from error


def json_value(node: Node) -> Any:
    """Return the value as in JSON, plus infinities and NaN. Dates are text, as in a schema's `format`."""
    known: dict[int, Any] = {}

    def convert(node: Node) -> Any:
        # The value of an alias is built once.
        if node.kind == "scalar":
            return _value(node)
        if id(node) not in known:
            known[id(node)] = [convert(item) for item in node.items] if node.kind == "list" else mapping(node)
        return known[id(node)]

    def mapping(node: Node) -> dict[str, Any]:
        merged_values: dict[str, Any] = {}
        # The first of several wins over those after it, and the mapping's own keys over all of them.
        for merged in reversed([*_merged(node)]):
            merged_values |= convert(merged)
        return merged_values | {name: convert(value) for name, (key, value) in node.fields.items() if not _is_merge(key)}

    return convert(node)


def portable_text(text: str) -> tuple[str, list[Rewriting]]:
    """Return the text rewritten so that YAML 1.1 and 1.2 readers agree with this site, and the rewritings made.

    Everything else is kept verbatim. Raises Unreadable, also if no text that means the same can be written.
    """
    before = compose(text)
    if not before.rewritings:
        return text, []
    parts, last = [], 0
    for rewriting in before.rewritings:
        parts += [text[last : rewriting.start], rewriting.written]
        last = rewriting.end
    written = "".join([*parts, text[last:]])
    after = compose(written)
    if after.rewritings or not (before.root and after.root and repr(json_value(before.root)) == repr(json_value(after.root))):
        lines = ", ".join(str(rewriting.line) for rewriting in before.rewritings[:10])
        message = f"Programs read this differently. Put what is text in quotes (lines {lines})."
        raise Unreadable(ConfigurationProblem(message, before.rewritings[0].line))
    return written, before.rewritings


class _Composer:
    """Builder of nodes from libyaml's events that counts as it goes."""

    def __init__(self, text: str, max_nodes: int) -> None:
        self.document = Document()
        self.max_nodes = max_nodes
        self.text = text.removeprefix("\ufeff")
        self.shift = len(text) - len(self.text)
        self.anchors: dict[str, Node | None] = {}
        self.names: list[str | None] = []
        self.stack: list[Node] = []
        self.keys: list[Node | None] = []
        self.nodes = self.weight = self.documents = 0

    def compose(self) -> Document:
        for event in yaml.parse(self.text, Loader=yaml.CSafeLoader):
            self.take(event)
        return self.document

    def take(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        match event:
            case yaml.ScalarEvent():
                self.scalar(event, line, column)
            case yaml.AliasEvent():
                self.alias(str(event.anchor), line, column)
            case yaml.SequenceStartEvent():
                self.open("list", "seq", event, line, column)
            case yaml.MappingStartEvent():
                self.open("map", "map", event, line, column)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self.close()
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    raise Unreadable(ConfigurationProblem("It is more than one document; leave out the `---` here.", line, column))
                self.document.version = event.version or NEWEST_YAML

    def scalar(self, event: Any, line: int, column: int) -> None:
        text = event.value
        tag = self.tag(event.tag, _SCALAR_TAGS, line, column)
        is_plain = not event.style and tag == "" and event.implicit[0]
        try:
            reading = self.reading(text, tag, is_plain=is_plain)
        except TooManyDigits:
            raise OverLimit(
                ConfigurationProblem(f"A number has more than {MAX_DIGITS} digits. Write it in quotes if it is text.", line, column)
            ) from None
        except ValueError:
            raise Unreadable(
                ConfigurationProblem(f"The tag !!{tag} does not fit {text[:40]!r}; leave it out.", line, column)
            ) from None
        if reading[0] == "broken":
            raise Unreadable(
                ConfigurationProblem(f"{text[:40]} is no date or number that exists. Quote it if it is text.", line, column)
            )
        is_key = bool(self.stack) and self.stack[-1].kind == "map" and self.keys[-1] is None
        if is_plain and (written := portable(text, reading, is_key=is_key)) is not None:
            start, end = self.start(event) + self.shift, event.end_mark.index + self.shift
            self.document.rewritings.append(Rewriting(start, end, line, text, written))
        if reading[0] == "merge" and not is_key:
            reading = ("text", text)
        node = Node("scalar", line, column, reading)
        node.weight = len(text.encode(errors="replace")) + 1
        self.name(event.anchor, node, line, column)
        self.add(node)

    def start(self, event: Any) -> int:
        # The mark is that of the anchor, if there is one.
        start: int = event.start_mark.index
        anchor = _ANCHOR.match(self.text, start) if event.anchor is not None else None
        return anchor.end() if anchor else start

    def reading(self, text: str, tag: str, *, is_plain: bool) -> Reading:
        if is_plain:
            return read_scalar(text, self.document.version)
        return read_tagged(tag, text) if tag else ("text", text)

    def alias(self, anchor: str, line: int, column: int) -> None:
        self.document.has_references = True
        if anchor not in self.anchors:
            raise Unreadable(
                ConfigurationProblem(f"The alias *{anchor} stands for nothing: no &{anchor} comes before it.", line, column)
            )
        node = self.anchors[anchor]
        if node is None:
            raise Unreadable(ConfigurationProblem(f"The alias *{anchor} stands within what it stands for.", line, column))
        self.add(node, line=line, column=column)

    def open(self, kind: str, own: str, event: Any, line: int, column: int) -> None:
        self.tag(event.tag, (own,), line, column)
        node = Node(kind, line, column)
        self.name(event.anchor, None, line, column)
        self.count(node, 1, line, column)
        self.stack.append(node)
        self.keys.append(None)
        self.names.append(event.anchor)

    def close(self) -> None:
        node, name = self.stack.pop(), self.names.pop()
        self.keys.pop()
        if name is not None:
            self.anchors[name] = node
        self.put(node)

    def name(self, anchor: str | None, node: Node | None, line: int, column: int) -> None:
        if anchor is None:
            return
        self.document.has_references = True
        if anchor in self.anchors:
            raise Unreadable(
                ConfigurationProblem(f"The anchor &{anchor} is given twice. Give the second another name.", line, column)
            )
        self.anchors[anchor] = node

    def add(self, node: Node, *, line: int = 0, column: int = 0) -> None:
        self.count(node, node.height, line or node.line, column or node.column)
        self.put(node)

    def count(self, node: Node, height: int, line: int, column: int) -> None:
        """Raise OverLimit before a node is built; the value of an alias counts each time."""
        self.nodes += node.size
        self.weight += node.weight
        if self.nodes > self.max_nodes:
            raise OverLimit(ConfigurationProblem(f"It holds more than {self.max_nodes:,} values.", line, column))
        if self.weight > MAX_BYTES:
            raise OverLimit(
                ConfigurationProblem(
                    f"It holds more than {MAX_BYTES // 1_000_000} MB once each alias is written out.", line, column
                )
            )
        if len(self.stack) + height > MAX_DEPTH:
            raise OverLimit(ConfigurationProblem(f"It is nested deeper than {MAX_DEPTH} levels.", line, column))

    def put(self, node: Node) -> None:
        if not self.stack:
            self.document.root = node
            return
        above = self.stack[-1]
        above.size += node.size
        above.weight += node.weight
        above.height = max(above.height, node.height + 1)
        if above.kind == "list":
            above.items.append(node)
        elif (key := self.keys[-1]) is None:
            self.keys[-1] = node
        else:
            self.pair(above, key, node)
            self.keys[-1] = None

    def pair(self, above: Node, key: Node, value: Node) -> None:
        if key.kind != "scalar":
            raise Unreadable(ConfigurationProblem("A name is a list or a mapping. Names are single values.", key.line, key.column))
        if _is_merge(key):
            self.document.has_references = True
            merged = value.items if value.kind == "list" else [value]
            if any(item.kind != "map" for item in merged):
                raise Unreadable(ConfigurationProblem("`<<` takes a mapping, or a list of mappings.", key.line, key.column))
        if (name := _name(key)) in above.fields:
            raise Unreadable(
                ConfigurationProblem(f"The name {name} is given twice, a duplicate. Leave one out.", key.line, key.column)
            )
        above.fields[name] = (key, value)

    def tag(self, tag: str | None, known: tuple[str, ...], line: int, column: int) -> str:
        if tag in (None, "!"):
            return "" if tag is None else "str"
        if tag.removeprefix(_PREFIX) not in known:
            raise Unreadable(ConfigurationProblem(f"The tag {tag} is not taken; write the value without it.", line, column))
        return tag.removeprefix(_PREFIX)


def _is_merge(key: Node) -> bool:
    return key.reading[0] == "merge"


def _merged(node: Node) -> Iterator[Node]:
    for key, value in node.fields.values():
        if _is_merge(key):
            yield from value.items if value.kind == "list" else [value]


def _value(node: Node) -> Any:
    kind, value = node.reading
    return value.isoformat() if kind == "timestamp" and isinstance(value, date) else value


def _name(key: Node) -> str:
    """Return a name as JSON has it: 16 and 0x10 are the same."""
    value = _value(key)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _parser_problem(error: yaml.MarkedYAMLError, text: str) -> ConfigurationProblem:
    # An unclosed quote or bracket: the position where it was opened says more than the end of the text.
    problem = str(error.problem or "")
    at_end = error.problem_mark is not None and not text.removeprefix("\ufeff")[error.problem_mark.index :].strip()
    is_open = "end of stream" in problem or (at_end and error.context_mark is not None)
    marks = (error.context_mark, error.problem_mark) if is_open else (error.problem_mark, error.context_mark)
    mark = marks[0] or marks[1]
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    message = f"{problem} ({error.context})" if error.context else problem
    if mark and text.removeprefix("\ufeff")[mark.index : mark.index + 1] == "\t":
        message = "a tab where YAML wants spaces"
    return ConfigurationProblem(f"It is no YAML that can be read: {message or 'it is broken'}.", line, column)
