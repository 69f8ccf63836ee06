"""The site's own database and backup store, and a working folder."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from control_plane.base.config import config
from control_plane.operation.backups.databases import Database
from control_plane.operation.backups.errors import BackupFailed
from control_plane.operation.backups.postgresql import PostgresqlDatabase
from control_plane.operation.backups.sqlite import SqliteDatabase
from control_plane.operation.backups.store import BackupStore, open_store

# A killed run leaves its folder, with a copy of the database in it.
STALE_SECONDS = 86_400


def site_database() -> Database:
    """Return the database of the settings. Raises BackupFailed for an unknown kind."""
    if connection.vendor == "postgresql":
        return PostgresqlDatabase(connection.settings_dict)
    if connection.vendor == "sqlite":
        return SqliteDatabase(Path(str(connection.settings_dict["NAME"])))
    raise BackupFailed(f"Backups of {connection.display_name} are not known. Nothing was stored; use SQLite or PostgreSQL.")


def site_store() -> BackupStore:
    """Return the backup store of the settings."""
    return open_store(config().backups)


@contextmanager
def work_folder() -> Iterator[Path]:
    """Create a private folder under VAR_DIR for the block. Raises BackupFailed."""
    folder = config().var_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        work = tempfile.TemporaryDirectory(prefix=".backup-", dir=folder)
    except OSError as error:
        raise BackupFailed(f"{folder} cannot be written: {error.strerror}. Nothing was changed; see VAR_DIR.") from error
    with work as name:
        yield Path(name)


def _clear(folder: Path) -> None:
    for pattern in (".backup-*", ".restoring-*"):
        for left in folder.glob(pattern):
            if left.stat().st_mtime < time.time() - STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
