"""`cohort`: manage.py of the release in use, as the worker's user, with the site's settings. For root, in a session on the host."""

import os
import shutil
import sys

from assets.install.host import WORKER_USER, Failed
from assets.install.release import current
from assets.install.rollout import SHARED_UMASK, worker_environment

# Handed on from the terminal: an administrator's first password, and what makes output readable.
KEPT = ("ADMIN_PASSWORD", "TERM", "COLUMNS", "LINES", "NO_COLOR")


def main() -> None:
    """Become manage.py."""
    release = current()
    if release is None:
        sys.exit("cohort: no release is in use on this host. Look at /var/log/cloud-init-output.log.")
    try:
        environment = worker_environment(release) | {name: os.environ[name] for name in KEPT if name in os.environ}
    except Failed as failure:
        sys.exit(f"cohort: {failure}")
    os.chdir(release)
    os.umask(SHARED_UMASK)
    words = ["runuser", "--user", WORKER_USER, "--", str(release / ".venv/bin/python"), "manage.py", *sys.argv[1:]]
    os.execve(shutil.which("runuser") or "/usr/sbin/runuser", words, environment)  # noqa: S606 (it becomes manage.py)


if __name__ == "__main__":
    main()
