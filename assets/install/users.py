"""The users and groups of the host, and the folders that they share."""

from assets.install.host import DATA, GROUP, IS_REAL, RELEASES, WEB_USER, WORKER_USER, host_path, log, run, set_owner
from assets.install.modes import OTHERS, remove_rights

# The web server's user, which reads static files and opens the socket; Ubuntu's nginx package makes it.
NGINX_USER = "www-data"


def make_users() -> None:
    """Make the missing users and groups.

    Both users share the database through the group `cohort`; the worker is in the web user's group too, to hand it its AWS session.
    """
    for name in (GROUP, WEB_USER, WORKER_USER):
        if not _exists("group", name):
            run("groupadd", "--system", name)
            log(f"made the group {name}")
    for name, others in ((WEB_USER, GROUP), (WORKER_USER, f"{GROUP},{WEB_USER}")):
        if not _exists("passwd", name):
            home = f"/var/lib/{name}"
            shell = "/usr/sbin/nologin"
            run("useradd", "--system", "--gid", name, "--home-dir", home, "--create-home", "--shell", shell, name)
            log(f"made the user {name}")
        run("usermod", "--append", "--groups", others, name)


def make_folders() -> None:
    """Make the shared folders with their owners. The data volume is mounted by now."""
    host_path(RELEASES).mkdir(parents=True, exist_ok=True)
    host_path("/etc/cohort").mkdir(parents=True, exist_ok=True)
    set_owner(host_path("/etc/cohort"), "root", "root", 0o755)
    data = host_path(DATA)
    data.mkdir(parents=True, exist_ok=True)
    # What is made in it belongs to the group; nginx may pass through to the static files, and read nothing else.
    set_owner(data, WORKER_USER, GROUP, 0o2771)
    static = data / "static"
    static.mkdir(exist_ok=True)
    set_owner(static, WORKER_USER, GROUP, 0o2755)
    close_data()


def close_data() -> None:
    """Close the data volume to other users of the host, all but the static files.

    That includes what an older release or a restored snapshot left open.
    """
    remove_rights(host_path(DATA), OTHERS, but=("static",))


def _exists(database: str, name: str) -> bool:
    # Exit status 2: no such entry (getent(1)).
    return bool(run("getent", database, name, ok=(0, 2)).strip()) if IS_REAL else False
