"""What only the host can tell: its disks, its database, its worker, its backups.

It is loaded once there are the site's settings.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from control_plane.base.errors import Refused
from control_plane.doctor.findings import Finding, ok, to_do, unknown
from control_plane.doctor.surroundings import Surroundings
from control_plane.operation.backups.services import age
from control_plane.operation.health import readiness as site

# As the alarms have them (`stacks.monitoring`).
FULL_PERCENT = 80
BACKUP_HOURS = 26
# A release with its packages, beside the one in use.
LEAST_ROOT_GB = 2.0
GB = 10**9


def disk(around: Surroundings) -> Iterator[Finding]:
    """Look how full the disks are."""
    var = around.require_settings().var_dir
    for place in (var, Path("/")):
        usage = shutil.disk_usage(place)
        percent, free = 100 * usage.used / (usage.used + usage.free), usage.free / GB
        words = f"{place}: {percent:.0f} % full, {free:.1f} GB free"
        if place == var and percent >= FULL_PERCENT:
            yield to_do(words, "Set a larger data_gib in site.toml, then cdk deploy Cohort-Backup; the file system follows.")
        elif place != var and free < LEAST_ROOT_GB:
            yield to_do(words, "sudo du -xh --max-depth=2 / shows what fills it; a new instance (cdk deploy --all) begins anew.")
        else:
            yield ok(words)


def readiness(around: Surroundings) -> Iterator[Finding]:
    """Look whether the database answers and is of this release, and whether a worker lives."""
    checks = site.check()
    for one in checks:
        if not one.ok:
            yield to_do(one.problem, one.advice)
            return
    yield ok(f"{', '.join(one.name for one in checks)}: as they should be")


def backup(around: Surroundings) -> Iterator[Finding]:
    """Look how old the newest backup of the database is."""
    try:
        newest = age.newest_stored()
    except Refused as error:
        yield unknown(str(error), "sudo journalctl -u cohort-backup")
        return
    if newest is None:
        yield to_do("there is none", "sudo cohort backup create")
        return
    hours = age.seconds_since(newest) / 3600
    words = f"the newest is {hours:.1f} hours old"
    yield ok(words) if hours < BACKUP_HOURS else to_do(words, "sudo journalctl -u cohort-backup, then sudo cohort backup create")
