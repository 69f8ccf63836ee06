"""Making a backup: copy, store, read back, restore into a temporary database, and only then finish it."""

import logging
from dataclasses import dataclass
from pathlib import Path

from django.utils import timezone

from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.operation.backups.databases import Database, Dump
from control_plane.operation.backups.documents import MAX_PER_SECOND, BackupManifest, new_name
from control_plane.operation.backups.errors import BackupFailed, BackupsError, NameInUse
from control_plane.operation.backups.packing import sha256
from control_plane.operation.backups.services.checking import check_file
from control_plane.operation.backups.services.expiry import expire
from control_plane.operation.backups.site import site_database, site_store, work_folder
from control_plane.operation.backups.store import BackupStore, ReportProgress

logger = logging.getLogger("cohort.backups")


@dataclass(frozen=True)
class Made:
    """A backup that was made and verified, and the names of expired ones that were removed after it."""

    manifest: BackupManifest
    removed: list[str]


def create(*, actor: Actor, report: ReportProgress, is_scheduled: bool = False) -> Made:
    """Back the site's database up while it is in use, and remove expired backups. Raises BackupsError or PermissionDenied.

    A scheduled backup expires later; one made by hand is kept.
    """
    require_administrator(actor)
    database, store = site_database(), site_store()
    with work_folder() as folder:
        packed = folder / "packed"
        dump = database.dump(packed, report)
        report("Storing it", 0)
        name = _put(store, dump, database.engine, packed, is_manual=not is_scheduled)
        try:
            manifest = _verify_stored(store, database, name, dump, packed, report)
            store.finish(manifest)
        except BaseException:
            _discard(store, name)
            raise
    record(
        actor,
        "backup.create",
        name,
        store=store.location,
        began_at=manifest.began_at.isoformat(),
        size=manifest.size,
        rows=sum(manifest.contents.rows.values()),
    )
    logger.info("%s was made and verified: %s bytes in %s", name, manifest.size, store.location)
    return Made(manifest, expire(store, actor=actor))


def _put(store: BackupStore, dump: Dump, engine: str, packed: Path, *, is_manual: bool) -> str:
    for number in range(1, MAX_PER_SECOND + 1):
        name = new_name(dump.began_at, engine, number, is_manual=is_manual)
        try:
            store.put(name, packed)
        except NameInUse:
            continue
        return name
    raise BackupFailed("Too many backups were made within this second. Nothing was stored; try again.")


def _verify_stored(
    store: BackupStore, database: Database, name: str, dump: Dump, packed: Path, report: ReportProgress
) -> BackupManifest:
    """Read the stored copy back, restore it, and return its manifest."""
    manifest = BackupManifest.model_validate(
        {
            "name": name,
            "engine": database.engine,
            "began_at": dump.began_at,
            "verified_at": timezone.now(),
            "size": packed.stat().st_size,
            "sha256": sha256(packed),
            "unpacked_size": dump.unpacked_size,
            "contents": dump.contents,
        }
    )
    report("Reading it back", 0)
    fetched = packed.with_name("fetched")
    store.fetch(name, fetched, manifest.size)
    check_file(fetched, manifest)
    with database.staged(fetched, manifest, report):
        return manifest.model_copy(update={"verified_at": timezone.now()})


def _discard(store: BackupStore, name: str) -> None:
    """Remove the stored copy of a backup that failed: it has no manifest, so it is no backup."""
    try:
        store.remove(name)
    except BackupsError as error:
        logger.warning("%s was not finished, and could not be removed: %s", name, error)
