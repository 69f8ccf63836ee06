"""Checks of the host itself: disks, database, worker, backups.

Imported when the site's settings are loaded.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from control_plane.base.errors import Refused
from control_plane.doctor.check_context import CheckContext
from control_plane.doctor.findings import Finding, ok, to_do, unknown
from control_plane.operation.backups.services import age
from control_plane.operation.health import readiness as site

# The alarms' thresholds (`stacks.site.monitoring`).
FULL_PERCENT = 80
BACKUP_HOURS = 26
# Room for a release with its packages, beside the one in use.
MIN_ROOT_GB = 2.0
GB = 10**9


def disk(context: CheckContext) -> Iterator[Finding]:
    """Check that the disks have room."""
    var = context.require_settings().var_dir
    for place in (var, Path("/")):
        usage = shutil.disk_usage(place)
        percent, free = 100 * usage.used / (usage.used + usage.free), usage.free / GB
        words = f"{place}: {percent:.0f} % full, {free:.1f} GB free"
        if place == var and percent >= FULL_PERCENT:
            yield to_do(words, "Set a larger data_gib in site.toml, then cdk deploy Cohort-Backup; the file system follows.")
        elif place != var and free < MIN_ROOT_GB:
            yield to_do(words, "sudo du -xh --max-depth=2 / shows what fills it; a new instance (cdk deploy --all) begins anew.")
        else:
            yield ok(words)


def readiness(context: CheckContext) -> Iterator[Finding]:
    """Check that the database answers and is of this release, and that a worker is alive."""
    checks = site.check()
    for check in checks:
        if not check.ok:
            yield to_do(check.problem, check.advice)
            return
    yield ok(f"{', '.join(check.name for check in checks)}: as they should be")


def backup(context: CheckContext) -> Iterator[Finding]:
    """Check the age of the newest backup of the database."""
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
