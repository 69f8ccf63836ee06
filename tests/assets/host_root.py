"""A host in a temporary folder: where install-release.sh installs to, with the commands that would change this machine recorded."""

import hashlib
import json
import os
import shutil
import socketserver
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SECRET = "the-signing-key-that-no-log-may-show-0123456789"
RECORDED = ("systemctl", "nginx", "nft", "npm", "certbot")
RECORD = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$FAILING" in "$(basename "$0") "*) case "$(basename "$0") $*" in "$FAILING"*) echo "told to fail" >&2; exit 1;; esac;; esac
"""
RUNUSER = """#!/bin/sh
echo "runuser $*" >> "$CALLS"
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""
# Making a virtual environment takes seconds; one test does, the others get this for one.
QUICK_PYTHON = """#!/bin/sh
case "$*" in
"-m venv "*)
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python";;
"-m pip "*)
    [ ! -s requirements.txt ] || {{ echo "no hashes" >&2; exit 1; }};;
"-m compileall "*)
    ;;
*)
    exec {python} "$@";;
esac
"""
MANAGE = """
import json, os, pathlib, sys
var = pathlib.Path(os.environ["VAR_DIR"])
mask = os.umask(0)
line = {"words": sys.argv[1:], "by": pathlib.Path.cwd().name, "umask": mask, "secret": "SECRET_KEY" in os.environ}
with (var / "manage.log").open("a") as log:
    log.write(json.dumps(line) + chr(10))
if (pathlib.Path.cwd() / f"fails-{sys.argv[1]}").exists():
    sys.exit(f"{sys.argv[1]} was told to fail")
if sys.argv[1] == "migrate":
    (var / "cohort.sqlite3").write_text("rows")
if sys.argv[1:3] == ["backup", "create"]:
    print("database/2026-01-01T00-00-00Z.sqlite3.zst")
"""
RENDER = """
import argparse, pathlib
parser = argparse.ArgumentParser()
for name in ("--domain", "--tls", "--out"):
    parser.add_argument(name, required=True)
options = parser.parse_args()
out = pathlib.Path(options.out)
version = pathlib.Path("version").read_text()
(out / "nginx/conf.d").mkdir(parents=True)
(out / "nginx/conf.d/cohort.conf").write_text(f"server_name {options.domain}; # {options.tls} {version}")
(out / "systemd").mkdir()
for name in ("cohort-web.socket", "cohort-web.service", "cohort-worker.service", f"cohort-of-{version}.timer"):
    (out / "systemd" / name).write_text(f"# {version}\\n[Install]\\n")
"""


class HostRoot:
    """The folder, and what was done in it."""

    def __init__(self, folder: Path, *, quick: bool = True) -> None:
        self.folder = folder
        self.calls_file = folder / "calls"
        self.commands = folder / "commands"
        self.commands.mkdir()
        for name in RECORDED:
            self._command(name, RECORD)
        self._command("runuser", RUNUSER)
        if quick:
            self._command("python3", QUICK_PYTHON.format(python=sys.executable))
        for path, text in {
            "etc/cohort/host.env": "DOMAIN=cohort.example.org\nTLS=acm\n",
            "etc/cohort/common.env": f'SECRET_KEY="{SECRET}"\n',
            "etc/cohort/worker.env": "",
        }.items():
            self.write(path, text)
        self.write("var/lib/cohort/.keep", "")
        self.write("run/.keep", "")

    def _command(self, name: str, text: str) -> None:
        (self.commands / name).write_text(text)
        (self.commands / name).chmod(0o755)

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    @property
    def managed(self) -> list[dict[str, Any]]:
        """What manage.py was asked, oldest first."""
        log = self.folder / "var/lib/cohort/manage.log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def current(self) -> str:
        link = self.folder / "opt/cohort/current"
        return link.resolve().name if link.exists() else ""

    def forget(self) -> None:
        """Let what was recorded so far be forgotten."""
        self.calls_file.unlink(missing_ok=True)
        (self.folder / "var/lib/cohort/manage.log").unlink(missing_ok=True)

    def snapshot(self) -> dict[str, str]:
        """Every file and link of the host, but for what the recording itself writes."""
        ours = [self.commands, self.calls_file, self.folder / "releases-made", self.folder / "run/lock"]
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if any(path == item or item in path.parents for item in ours):
                continue
            if path.is_symlink():
                found[str(path)] = str(path.readlink())
            elif path.is_file():
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def release(self, version: str, **files: str) -> tuple[Path, str]:
        """A release's archive and its checksum: our assets with an application that only records."""
        made = self.folder / "releases-made" / version
        shutil.copytree(REPOSITORY / "assets", made / "assets", ignore=shutil.ignore_patterns("__pycache__"))
        contents = {
            "version": version,
            "manage.py": MANAGE,
            "assets/render.py": RENDER,
            "requirements.txt": "",
            "package-lock.json": "{}",
            "site/index.html": "documentation",
            **files,
        }
        for path, text in contents.items():
            target = made / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        archive = made.with_suffix(".zip")
        with zipfile.ZipFile(archive, "w") as file:
            for member in sorted(made.rglob("*")):
                file.write(member, member.relative_to(made))
        return archive, hashlib.sha256(archive.read_bytes()).hexdigest()

    def install(self, archive: Path, sha256: str, failing: str = "") -> subprocess.CompletedProcess[str]:
        """Run install-release.sh as it stands."""
        environment = {
            "PATH": os.pathsep.join([str(self.commands), str(Path(sys.executable).parent), "/usr/sbin:/usr/bin:/sbin:/bin"]),
            "COHORT_ROOT": str(self.folder),
            "COHORT_READY_SECONDS": "1.5",
            "CALLS": str(self.calls_file),
            "FAILING": failing,
            "PIP_NO_INPUT": "1",
        }
        script = REPOSITORY / "assets/install/install-release.sh"
        return subprocess.run(
            ["/bin/bash", str(script), "--sha256", sha256, "--zip", str(archive)],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        release = self.server.host.folder / "opt/cohort/current"  # type: ignore[attr-defined]
        broken = (release / "never-ready").exists()
        body = json.dumps({"ready": not broken, "checks": [{"name": "worker", "ok": not broken, "problem": "No worker lives."}]})
        self.send_response(503 if broken else 200)
        self.end_headers()
        self.wfile.write(body.encode())

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *words: object) -> None:
        pass


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    host: HostRoot


@contextmanager
def host_root(*, quick: bool = True) -> Iterator[HostRoot]:
    """A host on which a web process answers: 503 while the release in use holds a file `never-ready`."""
    # A socket's path may have 107 characters, fewer than pytest's folders.
    with tempfile.TemporaryDirectory(prefix="cohort-host-") as folder:
        host = HostRoot(Path(folder), quick=quick)
        with _Server(f"{folder}/run/cohort-web.sock", _Handler) as server:
            server.host = host
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            yield host
            server.shutdown()
