"""The floors of the code, drawn from the contracts that `make lint` holds, and each room's purpose from its own first line."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def picture() -> str:
    """Return the floors as a block of text, from the highest to the lowest: a line imports from those below it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rooms = {contract["containers"][0]: contract["layers"] for contract in contracts if "containers" in contract}
    pages = sorted(path.parent.name for path in (ROOT / "web").glob("*/__init__.py"))
    lines = ["web/", *_wrapped(pages), "control_plane/"]
    for floor in rooms["control_plane"]:
        lines.append(f"  {floor}")
        for beside in floor.split(" | "):
            lines += [f"    {room}" for room in rooms.get(f"control_plane.{beside}", ())]
    lines += ["stacks/", *(f"  {layer}" for layer in rooms["stacks"])]
    return "\n".join(["```", *lines, "```"])


def rooms() -> str:
    """Return a table of every package of the control plane, the pages and the stacks with the first line of its docstring."""
    rows = [f"| `{path.relative_to(ROOT)}/` | {first} |" for path, first in _packages()]
    return "\n".join(["| folder | what it holds |", "| --- | --- |", *rows])


def _packages() -> Iterator[tuple[Path, str]]:
    for top in ("control_plane", "web", "stacks"):
        for path in sorted((ROOT / top).rglob("__init__.py")):
            docstring = ast.get_docstring(ast.parse(path.read_text()))
            if docstring:
                yield path.parent, docstring.splitlines()[0]


def _wrapped(names: list[str], each: int = 6) -> Iterator[str]:
    """Yield lines of so many names each, apart by bars: packages that do not import each other."""
    for start in range(0, len(names), each):
        yield "    " + " | ".join(names[start : start + each])
