"""Finding and verifying backups, without changing anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from control_plane.operation.backups.databases import Staged
from control_plane.operation.backups.documents import BackupManifest
from control_plane.operation.backups.errors import BadBackup, NoBackup
from control_plane.operation.backups.packing import sha256
from control_plane.operation.backups.site import site_database, site_store, work_folder
from control_plane.operation.backups.store import BackupStore, ReportProgress

LATEST = "latest"


def resolve_name(store: BackupStore, name: str) -> str:
    """Return the name, or that of the newest backup for `latest`. Raises NoBackup."""
    if name != LATEST:
        return name
    if names := store.names():
        return names[0]
    raise NoBackup(f"There is no backup in {store.location}. Nothing was changed; see BACKUP_STORE, or make one first.")


def verify(name: str, report: ReportProgress) -> BackupManifest:
    """Restore a backup into a temporary database and compare it with its manifest. Raises BackupsError."""
    with staged_backup(site_store(), name, report) as (manifest, _):
        return manifest


@contextmanager
def staged_backup(store: BackupStore, name: str, report: ReportProgress) -> Iterator[tuple[BackupManifest, Staged]]:
    """Fetch a backup, check it, and restore it beside the site's database for the block. Raises BackupsError."""
    database = site_database()
    try:
        manifest = store.manifest(resolve_name(store, name))
        if manifest.engine != database.engine:
            raise BadBackup(f"{manifest.name} is of {manifest.engine}, and DATABASE_URL says {database.engine}.")
        with work_folder() as folder:
            report("Fetching it", 0)
            fetched = folder / "fetched"
            store.fetch(manifest.name, fetched, manifest.size)
            check_file(fetched, manifest)
            with database.staged(fetched, manifest, report) as staged:
                yield manifest, staged
    except BadBackup as error:
        raise BadBackup(f"{error} Nothing was changed; use another one (`manage.py backup list`).") from error


def check_file(path: Path, manifest: BackupManifest) -> None:
    """Check size and SHA-256 of a fetched file. Raises BadBackup."""
    if (size := path.stat().st_size) != manifest.size:
        raise BadBackup(f"{manifest.name} has {size:,} bytes instead of {manifest.size:,}: it is cut short or is another file.")
    if sha256(path) != manifest.sha256:
        raise BadBackup(f"{manifest.name} is damaged: its SHA-256 is not the one in its manifest.")
