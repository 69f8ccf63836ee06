"""Every place where our code compares what AWS answered with words of its own: found in the sources, so that none is forgotten."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from botocore.session import Session

ROOT = Path(__file__).resolve().parents[2]
SEARCHED = ("control_plane", "web", "stacks", "assets", "scripts", "local_aws/backend.py")
SERVICES = ("s3", "iam", "sts", "cloudformation", "secretsmanager", "kms", "ssm", "logs", "backup")
# What the left side of a comparison with a code, a status or a message of AWS's looks like here.
_CODE = re.compile(r"\bcode\b|_?code_of\(|_code\(|\[?.Code.\]?")
_STATUS = re.compile(r"status_of\(|\b(?:status|answered)\b|HTTPStatusCode|_head\(")
_TEXT = re.compile(r"str\(error\)|reason|failure\.output\b", re.IGNORECASE)
_ASKS_AWS = re.compile(r"botocore|status_of|control_plane(\.| import )aws|deployments(\.| import )cloudformation|boto3")
_STATE = re.compile(r"([A-Z]+(_[A-Z]+)*)?_(COMPLETE|FAILED|IN_PROGRESS|SKIPPED|ERROR)")
_DRIFT = frozenset({"MODIFIED", "DELETED", "UNKNOWN", "NOT_CHECKED", "IN_SYNC"})
_JS_CODE = re.compile(r'\.?\bcode === "(\w+)"|case "([A-Z]\w+)":')
_JS_SET = re.compile(r"new Set\(\[([^\]]*)\]\)")
_JS_STATUS = re.compile(r"\.?\b(?:status|answered)\b (?:===|!==|>=) (\d{3})")
_NUMBERS = range(300, 600)


class Match(NamedTuple):
    """What a source file matches on: a code, a status, a state or words."""

    file: str
    word: str


def all_matches() -> set[Match]:
    """Every match in our packages, Python's and the browser's."""
    paths = [*_files(".py"), *(path for path in _files(".js") if "/vendor/" not in str(path))]
    return {Match(str(path.relative_to(ROOT)), word) for path in paths for word in words_of(path)}


def words_of(path: Path) -> set[str]:
    """What one source file matches on."""
    return set(_python_words(path) if path.suffix == ".py" else _script_words(path.read_text()))


def _files(ending: str) -> Iterator[Path]:
    for place in SEARCHED:
        path = ROOT / place
        yield from [path] if path.is_file() and path.suffix == ending else sorted(path.rglob(f"*{ending}"))


def _script_words(text: str) -> Iterator[str]:
    if "S3" not in text and ".status" not in text:
        return
    for first, second in _JS_CODE.findall(text):
        yield first or second
    for listed in _JS_SET.findall(text):
        yield from (word for word in re.findall(r'"([A-Z]\w+)"', listed))
        yield from (word for word in re.findall(r"\b(\d{3})\b", listed))
    yield from _JS_STATUS.findall(text)


def _python_words(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    if "/migrations/" in str(path):
        return
    asks = bool(_ASKS_AWS.search(path.read_text()))
    hidden = _unread(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in hidden:
            if node.value in _known_codes() or _is_state(node.value, asks):
                yield node.value
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "exceptions":
            if node.attr[0].isupper() and node.attr not in ("ValidationError", "PermissionDenied"):
                yield node.attr
        elif isinstance(node, ast.Compare) and asks:
            yield from _compared(node, _constants(tree))
    if path.name == "failures.py":
        yield from _alternatives(tree)


def _is_state(text: str, asks: bool) -> bool:
    return asks and (text in _DRIFT or bool(_STATE.fullmatch(text)))


def _compared(node: ast.Compare, constants: dict[str, ast.expr]) -> Iterator[str]:
    sides = [node.left, *node.comparators]
    for side, other in ((item, two) for item in sides for two in sides if item is not two):
        told = ast.unparse(side)
        for value in _values(other, constants):
            if isinstance(value, str) and (_TEXT.search(told) or (_CODE.search(told) and value)) and not _is_name(value):
                yield value
            if isinstance(value, int) and not isinstance(value, bool) and _STATUS.search(told) and value in _NUMBERS:
                yield str(value)
            if isinstance(value, int) and told.startswith("_head(") and value == 200:
                yield str(value)


def _is_name(value: str) -> bool:
    """Whether it is no more than a piece of syntax."""
    return len(value) < 3


def _values(node: ast.expr, constants: dict[str, ast.expr]) -> Iterator[Any]:
    """The constants that an expression stands for."""
    if isinstance(node, ast.Constant):
        yield node.value
    elif isinstance(node, ast.Name) and node.id in constants:
        yield from _values(constants[node.id], {name: value for name, value in constants.items() if name != node.id})
    elif isinstance(node, ast.Tuple | ast.Set | ast.List):
        for elt in node.elts:
            yield from _values(elt.value if isinstance(elt, ast.Starred) else elt, constants)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("frozenset", "set", "tuple"):
        for arg in node.args:
            yield from _values(arg, constants)


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _alternatives(tree: ast.Module) -> Iterator[str]:
    """What the regular expressions of `failures` look for, and its codes: those that the models do not name too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).endswith(("_CODES", "_STATES")):
            yield from (str(value) for value in _values(node.value, {}))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile":
            for pattern in _values(node.args[0], {}):
                yield from _split(str(pattern))


def _split(pattern: str) -> list[str]:
    """The alternatives of a regular expression, those within brackets left together."""
    depth, found = 0, [""]
    for letter in pattern:
        depth += (letter in "([") - (letter in ")]")
        if letter == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return [item for item in found if item]


def _unread(tree: ast.Module) -> set[int]:
    """The ids of nodes that are documentation or the message of an f-string: nothing is compared with those."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            found.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            found |= {id(value) for value in node.values}
    return found


@cache
def _known_codes() -> frozenset[str]:
    """Every error code that botocore's models name for the services that we use."""
    session = Session()
    codes: set[str] = set()
    for service in SERVICES:
        model = session.get_service_model(service)
        for name in model.shape_names:
            shape = model.shape_for(name)
            if shape.metadata.get("exception"):
                codes |= {name, str(shape.metadata.get("error", {}).get("code", name))}
    return frozenset(codes)
