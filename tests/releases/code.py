"""The code of a release, kept as it was: what it needs to serve its pages and to read manifests."""

import subprocess
import tarfile
from pathlib import Path

from tests.releases.kept import ROOT

# With the tests' own helpers that visit a site, and without what they compare with.
FOLDERS = ("control_plane", "web", "stacks", "tests", "local_aws", "assets/example_analysis", "assets/__init__.py", "scripts")
FILES = ("manage.py", "app.py", "cdk.json", "pyproject.toml")
LEFT_OUT = ("tests/data/", "tests/e2e/", "tests/screenshots/", "tests/conformance/", "tests/stacks/", "tests/assets/")


def pack(archive: Path) -> None:
    """Write the code that git knows into an archive."""
    command = ["git", "ls-files", *FOLDERS, *FILES]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    with tarfile.open(archive, "w:xz") as packed:
        for name in listed.stdout.splitlines():
            if not name.startswith(LEFT_OUT) or name.endswith("/tries.py") or name == "tests/e2e/__init__.py":
                packed.add(ROOT / name, name, recursive=False, filter=_plain)


def unpack(archive: Path, folder: Path) -> None:
    """Lay a release's code out in a folder, beside the packages that are installed here."""
    with tarfile.open(archive) as packed:
        packed.extractall(folder)  # noqa: S202 -- one of ours; Python before 3.11.4 has no filters
    for name in ("node_modules", ".venv"):
        (folder / name).symlink_to(ROOT / name)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    return member
