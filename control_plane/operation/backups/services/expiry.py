"""Which old backups go: of the scheduled ones the last of each hour, day and month is kept for a while; those made by hand stay."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.operation.backups.documents import began, is_manual, newest_first
from control_plane.operation.backups.store import BackupStore

logger = logging.getLogger("cohort.backups")


def expire(store: BackupStore, *, actor: Actor) -> list[str]:
    """Remove what is not kept any more, and return it. A bucket's own lifecycle does that for itself. Raises StoreFailed."""
    if not store.expires:
        return []
    kept, now = config(), timezone.now()
    # A day is longer than any backup takes.
    abandoned = [name for name in store.unfinished() if _began(name) < now - timedelta(days=1)]
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
    """Scheduled ones that are the last neither of the newest `hourly` hours that have one, nor of the days, nor of the months."""
    ordered = [name for name in newest_first(names) if not is_manual(name)]
    kept: set[str] = set(ordered[:1])
    for spelling, many in (("%Y%m%d%H", hourly), ("%Y%m%d", daily), ("%Y%m", monthly)):
        last_of: dict[str, str] = {}
        for name in ordered:
            last_of.setdefault(f"{_began(name):{spelling}}", name)
        kept |= set(list(last_of.values())[:many])
    return [name for name in ordered if name not in kept]


def expired_manual(names: Iterable[str], before: datetime) -> list[str]:
    """Backups made by hand that began before then; the newest backup of all stays whatever its age."""
    return [name for name in newest_first(names)[1:] if is_manual(name) and _began(name) < before]


def _began(name: str) -> datetime:
    moment = began(name)
    if moment is None:
        raise ValueError(f"{name!r} is not a backup's name.")
    return moment
