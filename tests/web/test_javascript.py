"""The pages' JavaScript, as far as it needs no browser: run by the Node that deploys the stacks."""

import re
import subprocess
from pathlib import Path

import pytest

from control_plane.base.static_files import OUR_FOLDERS

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / ".venv/bin/node"
BESIDE = ROOT / "tests/web/js/beside.mjs"
OURS = sorted(path for folder in ("web", "control_plane") for path in (ROOT / folder).rglob("static/*/*.js"))


@pytest.mark.parametrize("path", sorted((ROOT / "tests/web/js").glob("*.test.mjs")), ids=lambda path: path.stem)
def test_in_node(path: Path) -> None:
    done = subprocess.run([NODE, "--import", BESIDE, "--test", path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_script_outgrows_four_hundred_lines() -> None:
    assert [path.name for path in OURS if len(path.read_text().splitlines()) > 400] == []


def test_scripts_load_nothing_from_another_host() -> None:
    # Names of XML's vocabularies look like addresses, and are not loaded.
    foreign = re.compile(r"https?://(?!s3\.amazonaws\.com/doc/|www\.w3\.org/)")
    assert [path.name for path in OURS if foreign.search(path.read_text())] == []


def test_what_scripts_import_is_named_by_its_content() -> None:
    importing = {path.parent.name for path in OURS if re.search(r"^import\b", path.read_text(), re.MULTILINE)}
    assert importing <= set(OUR_FOLDERS)
