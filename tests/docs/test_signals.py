"""The page on signals says what the code does: every signal, who sends it, and who receives it."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from django.dispatch import Signal

ROOT = Path(__file__).resolve().parents[2]
CONTROL_PLANE = ROOT / "control_plane"
_ROW = re.compile(r"^\| `(\w+)\(([\w, ]*)\)` \| `([\w/.]+)` \| ([^|]+) \| [^|]+ \| ([^|]+) \|", re.MULTILINE)


class Told(NamedTuple):
    """One signal: where it is defined, which files send it, what with, and which apps receive it."""

    defined: str
    senders: frozenset[str]
    arguments: frozenset[str]
    receivers: frozenset[str]


def test_the_page_names_every_signal_with_its_senders_and_receivers() -> None:
    page = (ROOT / "docs/development/signals.md").read_text()
    told = {
        name: Told(defined, _quoted(senders), frozenset(arguments.split(", ")), _quoted(receivers))
        for name, arguments, defined, senders, receivers in _ROW.findall(page)
    }
    assert told == dict(_signals())


def _quoted(cell: str) -> frozenset[str]:
    return frozenset(re.findall(r"`([^`]+)`", cell))


def _signals() -> Iterator[tuple[str, Told]]:
    for path in sorted(CONTROL_PLANE.rglob("signals.py")):
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for name, signal in vars(module).items():
            if isinstance(signal, Signal) and name in _assigned(path):
                senders, arguments = _sent(name)
                receivers = frozenset(uid for (uid, _), *_ in signal.receivers)
                yield name, Told(str(path.relative_to(CONTROL_PLANE)), senders, arguments, receivers)


def _assigned(path: Path) -> set[str]:
    body = ast.parse(path.read_text()).body
    return {target.id for node in body if isinstance(node, ast.Assign) for target in node.targets if isinstance(target, ast.Name)}


def _sent(name: str) -> tuple[frozenset[str], frozenset[str]]:
    """The files that send the signal, and the arguments that all of them send."""
    senders: set[str] = set()
    arguments: set[str] = set()
    for path in CONTROL_PLANE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"{name}.send":
                senders.add(str(path.relative_to(CONTROL_PLANE)))
                arguments |= {keyword.arg or "**" for keyword in node.keywords} - {"sender"}
    return frozenset(senders), frozenset(arguments)
