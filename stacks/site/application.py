"""The application as one zip, reproducible: the same checkout gives the same bytes, so that only a change replaces the host."""

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stacks.site.settings import ROOT

# Named one by one rather than by what to leave out, so that nothing private of a checkout can ever slip in.
PARTS = (
    "app.py",
    "assets",
    "cdk.json",
    "control_plane",
    "manage.py",
    "package-lock.json",
    "package.json",
    "pyproject.toml",
    "README.md",
    "requirements.txt",
    # The documentation, if it was built.
    "site",
    "stacks",
    "web",
)
# The site map names the day on which the documentation was built, and so would replace the host each day.
LEFT_OUT = frozenset(["__pycache__", "node_modules", ".DS_Store", "sitemap.xml", "sitemap.xml.gz"])
# The oldest time that a zip can hold: the real ones differ from checkout to checkout.
NO_TIME = (1980, 1, 1, 0, 0, 0)


class Archive(NamedTuple):
    """A zip of the application, and its SHA-256 in hexadecimal."""

    path: Path
    sha256: str


def pack(folder: Path, root: Path = ROOT) -> Archive:
    """Write `application.zip` of the checkout at `root` into `folder`. Raises ValueError where a file disappears meanwhile."""
    path = folder / "application.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(_files(root)):
            try:
                _add(archive, file, file.relative_to(root).as_posix())
            except FileNotFoundError:
                raise ValueError(f"{file} went away while the application was packed. Nothing was deployed; try again.") from None
    return Archive(path, hashlib.sha256(path.read_bytes()).hexdigest())


def _add(archive: zipfile.ZipFile, file: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, NO_TIME)
    mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
    entry.external_attr = (0o100000 | mode) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, file.read_bytes())


def _files(root: Path) -> Iterator[Path]:
    for part in PARTS:
        path = root / part
        if path.is_file():
            yield path
        for file in path.rglob("*"):
            if file.is_file() and not file.is_symlink() and not _is_left_out(file.relative_to(root)):
                yield file


def _is_left_out(file: Path) -> bool:
    return file.suffix == ".pyc" or not LEFT_OUT.isdisjoint(file.parts)
