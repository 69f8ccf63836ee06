"""Roll-out of a release: database, static files, services; and back to the one before if the site does not get ready."""

import json
import os
import shutil
import socket
import time
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from assets.install import release as releases
from assets.install.host import DATA, GROUP, WORKER_USER, Failed, host_path, host_values, log, run, set_owner, write
from assets.install.settings_files import AWS_CONFIG, COMMON, WORKER, read_settings
from assets.install.users import close_data

DATABASE = f"{DATA}/cohort.sqlite3"
READY_SECONDS = float(os.environ.get("COHORT_READY_SECONDS", "120"))
POLL_SECONDS = 1.0
SOCKET = "/run/cohort-web.sock"
UNITS, NGINX, FIREWALL = "/etc/systemd/system", "/etc/nginx", "/etc/nftables.conf"
# Files are shared with the web process through their group, and with nobody else; static files are nginx's to read.
SHARED_UMASK, STATIC_UMASK = 0o007, 0o022
# Started last, and in this order: the site is ready once a worker lives, and pages need the session on AWS.
SERVICES = ("cohort-web-credentials.service", "cohort-worker.service", "cohort-web.service")


def roll_out(new: Path) -> None:
    """Install the release and put it into use, or leave the one before in use and raise Failed."""
    old = releases.current()
    releases.prepare(new)
    if not (new / "site").is_dir():
        log("this release brings no documentation: /docs/ will not be found. Build it (mkdocs build) before packing")
    backup = _back_up(old, new)
    _share_database()
    close_data()
    manage(new, "migrate", "--noinput", umask=SHARED_UMASK)
    try:
        activate(new)
    except Failed as failure:
        raise Failed(_switch_back(old if old != new else None, failure, backup)) from None
    releases.prune(new, old)
    log(f"{new.name[:12]} is in use")


def activate(release: Path) -> None:
    """Have everything on the host run this release, and check that it does. Raises Failed."""
    manage(release, "collectstatic", "--noinput", umask=STATIC_UMASK)
    _place_files(release)
    run("nginx", "-t")
    run("nft", "-f", host_path(FIREWALL))
    releases.switch_to(release)
    run("systemctl", "daemon-reload")
    units = sorted(path.name for path in host_path(UNITS).glob("cohort-*"))
    # A unit with an [Install] section is started at each start; the others are started by their timers.
    run("systemctl", "enable", "--quiet", "nginx.service", "nftables.service", *_installable(host_path(UNITS), units))
    # The socket is never closed: whoever comes while the web process is restarted waits in it.
    run("systemctl", "start", "cohort-web.socket")
    run(
        "systemctl",
        "restart",
        *(unit for unit in units if unit.endswith(".timer")),
        *(service for service in SERVICES if service in units),
    )
    run("systemctl", "reload-or-restart", "nginx.service")
    wait_until_ready()


def manage(release: Path, *words: str, umask: int = SHARED_UMASK) -> str:
    """Run manage.py of this release as the worker's user, with its settings. Raises Failed, which names no setting."""
    return run(
        *("runuser", "--user", WORKER_USER, "--"),
        *(release / ".venv/bin/python", "manage.py", *words),
        cwd=release,
        env=worker_environment(release),
        umask=umask,
    )


def worker_environment(release: Path) -> dict[str, str]:
    """Return the environment of the worker's processes."""
    path = os.pathsep.join([str(release / ".venv/bin"), os.environ.get("PATH", os.defpath)])
    settings = read_settings(COMMON, WORKER)
    return {
        "PATH": path,
        "HOME": str(host_path(f"/var/lib/{WORKER_USER}")),
        "LANG": "C.UTF-8",
        **settings,
        "VAR_DIR": str(host_path(DATA)),
    }


def wait_until_ready(seconds: float | None = None) -> None:
    """Ask the site itself, as nginx does, until it is ready. Raises Failed with its last answer."""
    seconds = READY_SECONDS if seconds is None else seconds
    deadline, answer = time.monotonic() + seconds, "no answer"
    while time.monotonic() < deadline:
        is_ready, answer = _ask()
        if is_ready:
            log("the site is ready")
            return
        time.sleep(min(POLL_SECONDS, max(0.0, deadline - time.monotonic())))
    raise Failed(f"the site did not get ready within {seconds:.0f} s; /readyz: {answer}")


def _ask() -> tuple[bool, str]:
    connection = _UnixConnection(str(host_path(SOCKET)))
    host = host_values()["DOMAIN"]
    try:
        connection.request("GET", "/readyz", headers={"Host": host, "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"})
        response = connection.getresponse()
        body = response.read(10_000).decode(errors="replace")
    except (OSError, HTTPException) as error:
        return False, f"no answer ({error})"
    finally:
        connection.close()
    return response.status == 200, f"{response.status} {_problem(body)}"


def _problem(body: str) -> str:
    try:
        checks = json.loads(body)["checks"]
        return "; ".join(
            f"{check['name']}: {check.get('problem', '')} {check.get('advice', '')}" for check in checks if not check["ok"]
        )
    except (ValueError, KeyError, TypeError):
        return body[:200]


class _UnixConnection(HTTPConnection):
    """HTTP over gunicorn's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _back_up(old: Path | None, new: Path) -> str:
    """Back the database up before it is migrated, by the release that wrote it if that is here. Returns the backup's output."""
    database = host_path(DATABASE)
    if not database.exists() or not database.stat().st_size:
        log("there is no database yet, so nothing to back up")
        return ""
    said = manage(old or new, "backup", "create").strip()
    log(f"backed the database up: {said}")
    return said


def _share_database() -> None:
    """Let both processes write to the database.

    SQLite gives a new one to its owner alone, whatever the umask, and gives the files beside it the mode that it has (SQLite's
    os_unix.c, findCreateFileMode).
    """
    database = host_path(DATABASE)
    database.touch()
    for path in (database, database.with_name(f"{database.name}-wal"), database.with_name(f"{database.name}-shm")):
        if path.exists():
            set_owner(path, WORKER_USER, GROUP, 0o660)


def _switch_back(old: Path | None, failure: Failed, backup: str) -> str:
    """Put the release before into use again. Returns the message of the failure."""
    if old is None:
        return f"The release was not put into use: {failure} There is no earlier release on this host to go back to."
    log(f"going back to {old.name[:12]}: {failure}")
    restore = f" The database was migrated; the backup before that: {backup}." if backup else ""
    try:
        activate(old)
    except Failed as second:
        return f"The release failed: {failure}. Going back to {old.name[:12]} failed as well: {second}. The site is down.{restore}"
    return f"The release failed, and {old.name[:12]} is in use again: {failure}.{restore}"


def _place_files(release: Path) -> None:
    """Write the files of this release outside its folder: nginx's, the units, the firewall, AWS's for the web process."""
    host = host_values()
    rendered = host_path("/var/lib/cohort-install/rendered")
    shutil.rmtree(rendered, ignore_errors=True)
    rendered.mkdir(parents=True)
    python = release / ".venv/bin/python"
    run(python, "assets/render.py", "--domain", host["DOMAIN"], "--tls", host["TLS"], "--out", rendered, cwd=release)
    for folder, target in (("nginx", NGINX), ("systemd", UNITS)):
        _copy_all(rendered / folder, host_path(target))
    wanted = {path.name for path in (rendered / "systemd").iterdir()} if (rendered / "systemd").is_dir() else set()
    for path in host_path(UNITS).glob("cohort-*"):
        if path.name not in wanted:
            run("systemctl", "disable", "--now", path.name)
            path.unlink()
    write(host_path(FIREWALL), (release / "assets/nftables/cohort.nft").read_text(), 0o755)
    write(host_path(AWS_CONFIG), (release / "assets/aws/aws-web.config").read_text())
    command = host_path("/usr/local/sbin/cohort")
    write(command, (release / "assets/install/cohort.sh").read_text(), 0o755)


def _copy_all(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")) if source.is_dir() else []:
        if path.is_file():
            write(target / path.relative_to(source), path.read_text())


def _installable(folder: Path, units: Iterable[str]) -> list[str]:
    return [unit for unit in units if (folder / unit).is_file() and "[Install]" in (folder / unit).read_text()]
