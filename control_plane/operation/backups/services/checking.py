"""Finding backups, and trying them out without changing anything."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from control_plane.operation.backups.databases import Staged
from control_plane.operation.backups.documents import BackupManifest
from control_plane.operation.backups.errors import BadBackup, NoBackup
from control_plane.operation.backups.packing import sha256
from control_plane.operation.backups.site import site_database, site_store, work_folder
from control_plane.operation.backups.store import BackupStore, Tell

LATEST = "latest"


def named(store: BackupStore, name: str) -> str:
    """The backup of that name, or the newest for `latest`. Raises NoBackup."""
    if name != LATEST:
        return name
    if names := store.names():
        return names[0]
    raise NoBackup(f"There is no backup in {store.location}. Nothing was changed; see BACKUP_STORE, or make one first.")


def verify(name: str, tell: Tell) -> BackupManifest:
    """Restore a backup into a temporary database and compare it with its manifest. Raises BackupsError."""
    with tried_out(site_store(), name, tell) as (manifest, _):
        return manifest


@contextmanager
def tried_out(store: BackupStore, name: str, tell: Tell) -> Iterator[tuple[BackupManifest, Staged]]:
    """A backup, fetched, checked, and restored beside the site's database. Raises BackupsError."""
    database = site_database()
    try:
        manifest = store.manifest(named(store, name))
        if manifest.engine != database.engine:
            raise BadBackup(f"{manifest.name} is of {manifest.engine}, and DATABASE_URL says {database.engine}.")
        with work_folder() as folder:
            tell("Fetching it", 0)
            fetched = folder / "fetched"
            store.fetch(manifest.name, fetched, manifest.size)
            check_file(fetched, manifest)
            with database.staged(fetched, manifest, tell) as staged:
                yield manifest, staged
    except BadBackup as error:
        raise BadBackup(f"{error} Nothing was changed; use another one (`manage.py backup list`).") from error


def check_file(path: Path, manifest: BackupManifest) -> None:
    """See that a fetched file is the one that was stored. Raises BadBackup."""
    if (size := path.stat().st_size) != manifest.size:
        raise BadBackup(f"{manifest.name} has {size:,} bytes instead of {manifest.size:,}: it is cut short or is another file.")
    if sha256(path) != manifest.sha256:
        raise BadBackup(f"{manifest.name} is damaged: its SHA-256 is not the one in its manifest.")
