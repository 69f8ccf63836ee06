"""SQLite: copied by its online backup API, verified by its own checks, and replaced by renaming one file."""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from control_plane.operation.backups.databases import EPHEMERAL_TABLES, USER_DATA_TABLES, Dump, Losses, compare, read_contents
from control_plane.operation.backups.documents import BackupManifest, Contents
from control_plane.operation.backups.errors import BackupFailed, BadBackup, RestoreRefused
from control_plane.operation.backups.packing import pack, unpack
from control_plane.operation.backups.store import ReportProgress

MAGIC = b"SQLite format 3\0"
PAGES_PER_STEP = 2000
BUSY_SECONDS = 20.0
IN_USE = (
    "Another process has the database open. Nothing was changed; stop the web server and the worker first "
    "(`systemctl stop cohort-web.socket cohort-web cohort-worker`, or whatever runs `manage.py worker` and the site)."
)


class SqliteDatabase:
    """The site's database file."""

    engine = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path

    def dump(self, packed: Path, report: ReportProgress) -> Dump:
        if not self.path.is_file():
            raise BackupFailed(f"There is no database at {self.path}. Nothing was stored; run `manage.py migrate` first.")
        plain = packed.with_name("copy.sqlite3")
        try:
            began_at = self._copy(plain, report)
            contents = _contents(plain)
            size = plain.stat().st_size
            pack(plain, packed, report)
        except (sqlite3.Error, OSError) as error:
            raise BackupFailed(
                f"The database could not be copied: {error}. Nothing was stored; correct that and try again."
            ) from error
        plain.unlink()
        return Dump(began_at, size, contents)

    @contextmanager
    def staged(self, packed: Path, manifest: BackupManifest, report: ReportProgress) -> Iterator["StagedSqlite"]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the database, so that it takes its place by a rename.
        with tempfile.TemporaryDirectory(prefix=".restoring-", dir=self.path.parent, ignore_cleanup_errors=True) as folder:
            if manifest.unpacked_size > shutil.disk_usage(folder).free:
                raise BadBackup(f"{manifest.name} would need {manifest.unpacked_size:,} bytes, more than the disk has free.")
            plain = Path(folder) / "restored.sqlite3"
            report("Unpacking it", 0)
            unpack(packed, plain, manifest.unpacked_size, manifest.name)
            report("Checking it", 0)
            check(plain, manifest)
            yield StagedSqlite(self.path, plain)

    def refuse_in_use(self) -> None:
        with _exclusive_lock(self.path):
            pass

    def _copy(self, plain: Path, report: ReportProgress) -> datetime:
        """Make a consistent copy, however much is written meanwhile. Returns when it began."""
        address = f"file:{quote(str(self.path))}?mode=rw"
        with (
            closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as source,
            closing(sqlite3.connect(plain)) as target,
        ):
            plain.chmod(0o600)
            is_wal = source.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            began_at = datetime.now(UTC)
            # Without an open snapshot, each write of another connection would restart the copy.
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            # A database that is not in WAL mode is locked meanwhile, so it is copied in one step.
            source.backup(
                target,
                pages=PAGES_PER_STEP if is_wal else -1,
                progress=lambda _, left, total: report("Copying the database", 1 - left / max(total, 1)),
                sleep=0,
            )
            source.execute("COMMIT")
            target.execute("PRAGMA journal_mode=DELETE")
        return began_at


class StagedSqlite:
    """A restored database file beside the site's."""

    def __init__(self, path: Path, plain: Path) -> None:
        self._path, self._plain = path, plain

    @property
    def connection(self) -> dict[str, Any]:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self._plain)}

    def losses(self) -> Losses | None:
        if not self._path.exists() or not self._path.stat().st_size:
            return None
        try:
            with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as current:
                return _losses(current, self._plain)
        except sqlite3.DatabaseError:
            return Losses(is_unreadable=True)

    def take_over(self) -> str:
        with _exclusive_lock(self._path) as is_there:
            self._finish(like=self._path if is_there else self._path.parent)
            aside = _name_aside(self._path)
            # The old file's journal must not be applied to the new one.
            for suffix in ("-wal", "-shm", "-journal"):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self._path}{suffix}").rename(f"{aside}{suffix}")
            if is_there:
                os.link(self._path, aside)
            self._plain.replace(self._path)
            _sync(self._path.parent)
        return str(aside) if is_there else ""

    def move_to(self, place: str) -> None:
        target = Path(place)
        self._finish(like=target.parent)
        try:
            os.link(self._plain, target)
        except FileExistsError as error:
            raise RestoreRefused(f"{place} is there already. Nothing was changed; name a file that is not.") from error
        except OSError as error:
            raise RestoreRefused(
                f"{place} could not be written ({error.strerror}). Nothing was changed; name a file on the disk of {self._path}."
            ) from error

    def _finish(self, like: Path) -> None:
        """Write everything into the one file, with the owner and mode of `like`, and sync it to the disk."""
        with closing(sqlite3.connect(self._plain)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
        is_file = like.is_file()
        stat = like.stat()
        self._plain.chmod(stat.st_mode & 0o777 if is_file else stat.st_mode & 0o660 | 0o600)
        with contextlib.suppress(PermissionError):
            os.chown(self._plain, stat.st_uid, stat.st_gid)
        with self._plain.open("rb") as file:
            os.fsync(file.fileno())


def check(plain: Path, manifest: BackupManifest) -> None:
    """Check that a file is an intact SQLite database that matches the manifest. Raises BadBackup."""
    with plain.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise BadBackup(f"{manifest.name} is no SQLite database.")
    try:
        with closing(sqlite3.connect(plain)) as connection:
            if (messages := connection.execute("PRAGMA integrity_check(5)").fetchall()) != [("ok",)]:
                raise BadBackup(f"{manifest.name} is damaged: {'; '.join(row[0] for row in messages)}.")
            if broken := {row[0] for row in connection.execute("PRAGMA foreign_key_check")}:
                raise BadBackup(f"{manifest.name} refers to rows that are not there, in {', '.join(sorted(broken))}.")
        compare(_contents(plain), manifest)
    except sqlite3.DatabaseError as error:
        raise BadBackup(f"{manifest.name} is damaged: {error}.") from error


def _contents(path: Path) -> Contents:
    with closing(sqlite3.connect(path)) as connection:
        return read_contents(connection.cursor(), _tables(connection))


def _tables(connection: sqlite3.Connection, schema: str = "main") -> list[str]:
    # SQLite's own tables do not count.
    query = f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"  # noqa: S608
    return [row[0] for row in connection.execute(query)]


def _losses(current: sqlite3.Connection, plain: Path) -> Losses | None:
    tables = _tables(current)
    if not any(_count(current, f'main."{table}"') for table in USER_DATA_TABLES if table in tables):
        return None
    current.execute("ATTACH ? AS restored", (str(plain),))
    there = set(_tables(current, "restored"))
    rows = {}
    for table in tables:
        if table not in EPHEMERAL_TABLES and (lost := _count_lost(current, table, is_there=table in there)):
            rows[table] = lost
    last = current.execute("SELECT max(at) FROM main.audit_auditevent").fetchone()[0] if "audit_auditevent" in tables else None
    return Losses(rows, f"{last[:19]} UTC" if last else None)


def _count_lost(current: sqlite3.Connection, table: str, *, is_there: bool) -> int:
    if is_there:
        with contextlib.suppress(sqlite3.OperationalError):
            more = f'(SELECT * FROM main."{table}" EXCEPT SELECT * FROM restored."{table}")'  # noqa: S608
            return _count(current, more)
        # The schemas differ: only the number of rows can be compared.
        return max(0, _count(current, f'main."{table}"') - _count(current, f'restored."{table}"'))
    return _count(current, f'main."{table}"')


def _count(connection: sqlite3.Connection, what: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0])  # noqa: S608 (names from the database itself)


@contextmanager
def _exclusive_lock(path: Path) -> Iterator[bool]:
    """Lock the database against other processes, after a WAL checkpoint. Yields True if the file exists. Raises RestoreRefused."""
    if not path.exists():
        yield False
        return
    with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
        try:
            # Leaving WAL mode requires the only connection: any other open connection prevents it.
            connection.execute("PRAGMA journal_mode=DELETE").fetchone()
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.DatabaseError as error:
            if (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise RestoreRefused(IN_USE) from error
            # A damaged file has no other users to lock out.
        yield True


def _name_aside(path: Path) -> Path:
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    return path.with_name(f"{path.stem}-before-{stamp}{path.suffix}")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
