"""Removing a backup on request."""

import logging

from django.utils import timezone

from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.operation.backups.documents import is_manual
from control_plane.operation.backups.errors import NoBackup, RemovalRefused
from control_plane.operation.backups.site import site_store

logger = logging.getLogger("cohort.backups")


def remove(name: str, *, actor: Actor) -> int:
    """Remove the backup of that name, damaged or not. Returns the number of backups left.

    Raises NoBackup, RemovalRefused if S3 Object Lock protects it or the identity may not remove it, StoreFailed, PermissionDenied.
    """
    require_administrator(actor)
    store = site_store()
    if name not in store.names():
        raise NoBackup(
            f"There is no backup {name!r} in {store.location}. Nothing was removed; `manage.py backup list` shows those there are."
        )
    until = store.locked_until(name)
    if until is not None and until > timezone.now():
        raise RemovalRefused(
            f"{name} is locked by S3 Object Lock until {until:%Y-%m-%d %H:%M} UTC. Nothing was removed. Remove it after that, or "
            "leave it to the bucket, which ends old backups by its own rule."
        )
    store.remove(name)
    record(actor, "backup.remove", name, store=store.location, made="by hand" if is_manual(name) else "scheduled")
    logger.info("%s was removed by %s", name, actor.label)
    return len(store.names())
