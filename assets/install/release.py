"""A release in its own folder beside the others: verified, unpacked, with its Python and Node packages."""

import hashlib
import os
import re
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from assets.install.host import CURRENT, RELEASES, Failed, host_path, log, run

STAMP = ".venv/installed"
LOCKS = ("requirements.txt", "package-lock.json")
COMPILED = ("assets", "control_plane", "stacks", "web")


def unpack(archive: Path, sha256: str) -> Path:
    """Unpack the archive into the folder of its checksum, if it has that checksum. Raises Failed; then nothing was changed."""
    release = folder_of(sha256)
    try:
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Failed(f"{archive} cannot be read: {error.strerror}. Nothing was changed.") from None
    if digest != sha256:
        raise Failed(f"{archive} was refused: its SHA-256 is {digest}, not {sha256}. Nothing was changed. Fetch it again.")
    if release.is_dir():
        return release
    host_path(RELEASES).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=host_path(RELEASES), prefix=".unpacking-") as folder:
        inside = Path(folder, "release")
        try:
            zipfile.ZipFile(archive).extractall(inside)
        except (zipfile.BadZipFile, OSError) as error:
            raise Failed(f"{archive} was not unpacked: {error}. Nothing was changed.") from None
        inside.chmod(0o755)
        inside.rename(release)
    log(f"unpacked {release}")
    return release


def folder_of(sha256: str) -> Path:
    """Return the folder of the release of this checksum. Raises Failed for what is no checksum."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise Failed(f"{sha256!r} is no SHA-256 in hexadecimal. Nothing was changed.")
    return host_path(RELEASES) / sha256


def current() -> Path | None:
    """Return the release in use, if there is one."""
    link = host_path(CURRENT)
    return link.resolve() if link.exists() else None


def prepare(release: Path) -> None:
    """Install the release's packages, from its lock files alone, unless they are there. Raises Failed."""
    stamp, wanted = release / STAMP, _digest(release)
    if stamp.exists() and stamp.read_text() == wanted:
        log(f"{release.name[:12]} has its packages")
        return
    venv = release / ".venv"
    shutil.rmtree(venv, ignore_errors=True)
    run("python3", "-m", "venv", venv)
    log("installing Python packages")
    pip = (venv / "bin/python", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "--requirement", release / "requirements.txt", cwd=release)
    log("installing Node packages")
    # npm comes with the Node.js among the Python packages.
    path = os.pathsep.join([str(venv / "bin"), os.environ.get("PATH", os.defpath)])
    npm = shutil.which("npm", path=path) or "npm"
    environment = os.environ | {"PATH": path, "HOME": os.environ.get("HOME", "/root")}
    run(npm, "ci", "--omit=dev", "--no-audit", "--no-fund", cwd=release, env=environment)
    # The services may not write here, so that they would compile every module at each start.
    run(venv / "bin/python", "-m", "compileall", "-q", *(name for name in COMPILED if (release / name).is_dir()), cwd=release)
    stamp.write_text(wanted)


def switch_to(release: Path) -> None:
    """Make this the release in use, in one step."""
    link = host_path(CURRENT)
    beside = link.with_name(".current.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(release)
    beside.replace(link)


def prune(*kept: Path | None) -> None:
    """Remove the releases that are neither in use nor the one before."""
    for folder in host_path(RELEASES).iterdir():
        if folder not in kept and not folder.name.startswith("."):
            shutil.rmtree(folder)
            log(f"removed the old release {folder.name[:12]}")


def _digest(release: Path) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for lock in LOCKS:
        digest.update((release / lock).read_bytes())
    return digest.hexdigest()
