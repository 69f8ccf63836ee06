"""Expiry of backups: of scheduled ones the last of each hour, day and month is kept for a while; those made by hand stay."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.operation.backups.documents import is_manual, newest_first, started_at
from control_plane.operation.backups.store import BackupStore

logger = logging.getLogger("cohort.backups")


def expire(store: BackupStore, *, actor: Actor) -> list[str]:
    """Remove expired backups and return their names. In S3 the bucket's lifecycle does that instead. Raises StoreFailed."""
    if not store.expires:
        return []
    kept, now = config(), timezone.now()
    # No backup takes a day.
    abandoned = [name for name in store.unfinished() if _started_at(name) < now - timedelta(days=1)]
    names = store.names()
    gone = abandoned + expired(names, kept.backup_keep_hourly, kept.backup_keep_daily, kept.backup_keep_monthly)
    if kept.backup_keep_manual_days:
        gone += expired_manual(names, now - timedelta(days=kept.backup_keep_manual_days))
    for name in gone:
        store.remove(name)
        record(actor, "backup.expire", name, store=store.location)
        logger.info("%s was old and is removed", name)
    return gone


def expired(names: Iterable[str], hourly: int, daily: int, monthly: int) -> list[str]:
    """Return the scheduled backups that expire.

    Kept are the last of each of the newest `hourly` hours, `daily` days and `monthly` months with a backup, and the newest.
    """
    ordered = [name for name in newest_first(names) if not is_manual(name)]
    kept: set[str] = set(ordered[:1])
    for spelling, many in (("%Y%m%d%H", hourly), ("%Y%m%d", daily), ("%Y%m", monthly)):
        last_of: dict[str, str] = {}
        for name in ordered:
            last_of.setdefault(f"{_started_at(name):{spelling}}", name)
        kept |= set(list(last_of.values())[:many])
    return [name for name in ordered if name not in kept]


def expired_manual(names: Iterable[str], before: datetime) -> list[str]:
    """Return the backups made by hand that began before then, except the newest backup of all."""
    return [name for name in newest_first(names)[1:] if is_manual(name) and _started_at(name) < before]


def _started_at(name: str) -> datetime:
    moment = started_at(name)
    if moment is None:
        raise ValueError(f"{name!r} is not a backup's name.")
    return moment
