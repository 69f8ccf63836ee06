"""Every function and class of the product is used in the product: also a periodic step that stands in no list."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("assets", "control_plane", "local_aws", "scripts", "stacks", "web")
ENDINGS = {".conf", ".html", ".js", ".py", ".service", ".sh", ".timer", ".toml", ".yaml"}
# Called by name: Django's app configurations, MkDocs' hooks; and what the embedded AWS offers to the tests that start one.
BY_NAME = {"control_plane/**/apps.py", "web/**/apps.py", "scripts/docs_hook.py"}
FOR_TESTS = {"free_port"}


def _unused(root: Path) -> list[str]:
    """Return each function and class at the top of a module that is named nowhere else; decorated ones are registered somewhere."""
    files = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*")) if path.suffix in ENDINGS]
    files = [path for path in files if "migrations" not in path.parts]
    named = Counter(
        word for path in [*files, *root.glob("*.py"), root / "Makefile"] for word in re.findall(r"[A-Za-z_]\w+", path.read_text())
    )
    by_name = {path for pattern in BY_NAME for path in root.glob(pattern)}
    return [
        f"{path.relative_to(root)}: {node.name}"
        for path in files
        if path.suffix == ".py" and path not in by_name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.decorator_list and named[node.name] == 1
        if node.name not in FOR_TESTS
    ]


def test_everything_is_used() -> None:
    assert _unused(ROOT) == []


def test_a_step_in_no_list_is_noticed(tmp_path: Path) -> None:
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
    (tmp_path / "Makefile").write_text("")
    (tmp_path / "control_plane/steps.py").write_text("def end_due(): ...\n\n\ndef forgotten(): ...\n")
    (tmp_path / "control_plane/sweep.py").write_text("STEPS = (end_due,)\n")
    assert _unused(tmp_path) == ["control_plane/steps.py: forgotten"]
