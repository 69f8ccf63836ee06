"""What each release left is opened by this code; and the release's own code serves its pages on the newest schema."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stacks.environment import isolated
from tests.releases import code
from tests.releases.kept import ROOT, Kept, releases

pytestmark = pytest.mark.timeout(300)


def run(folder: Path, *words: str, text: str = "") -> str:
    """Run a module of the code in a folder, and return what it said; it has to end well."""
    clean = {name: value for name, value in isolated(os.environ).items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, env=clean, input=text, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("release", releases(), ids=lambda release: release.name)
def test_a_site_of_a_release_goes_on_with_this_code_and_back(release: Path, tmp_path: Path) -> None:
    """Forward: everybody goes on. Back, while a host is replaced: the release's own code on the schema of today."""
    newest = tmp_path / "newest.sqlite3"
    said = run(ROOT, "-m", "tests.releases", "open", str(release), "--keep", str(newest))
    assert f"Everybody goes on where they were in {Kept.read(release).version}." in said
    old = tmp_path / "code"
    code.unpack(release / "code.tar.xz", old)
    said = run(old, "-m", "tests.releases", "visit", str(release), str(newest))
    assert "Everybody goes on where they were" in said
