"""Which old backups go: the last of each hour, day and month is kept for a while."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from control_plane.backups.documents import began, newest_first
from control_plane.backups.store import BackupStore
from control_plane.config import config

logger = logging.getLogger("cohort.backups")


def expire(store: BackupStore) -> list[str]:
    """Remove what is not kept any more, and return it. A bucket's own lifecycle does that for itself."""
    if not store.expires:
        return []
    kept = config()
    # A day is longer than any backup takes.
    before = timezone.now() - timedelta(days=1)
    abandoned = [name for name in store.unfinished() if _began(name) < before]
    gone = abandoned + expired(store.names(), kept.backup_keep_hourly, kept.backup_keep_daily, kept.backup_keep_monthly)
    for name in gone:
        store.remove(name)
        logger.info("%s was old and is removed", name)
    return gone


def expired(names: Iterable[str], hourly: int, daily: int, monthly: int) -> list[str]:
    """Those that are neither the last of one of the newest `hourly` hours that have one, nor of the days, nor of the months."""
    ordered = newest_first(names)
    kept: set[str] = set(ordered[:1])
    for spelling, many in (("%Y%m%d%H", hourly), ("%Y%m%d", daily), ("%Y%m", monthly)):
        last_of: dict[str, str] = {}
        for name in ordered:
            last_of.setdefault(f"{_began(name):{spelling}}", name)
        kept |= set(list(last_of.values())[:many])
    return [name for name in ordered if name not in kept]


def _began(name: str) -> datetime:
    moment = began(name)
    if moment is None:
        raise ValueError(f"{name!r} is not a backup's name.")
    return moment
