"""Common parts of both kinds of database: their contents, and a backup restored beside them."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from control_plane.operation.backups.documents import BackupManifest, Contents
from control_plane.operation.backups.errors import BadBackup
from control_plane.operation.backups.store import ReportProgress

# Tables with data of users; a database without rows in them can be replaced without loss.
USER_DATA_TABLES = ("accounts_user", "groups_group", "groups_analysis", "deployments_stack", "audit_auditevent")
# Tables whose rows are not compared.
EPHEMERAL_TABLES = frozenset({"accounts_cache", "deployments_worker", "django_session"})


@dataclass(frozen=True)
class Dump:
    """A copy of the database: its start time, unpacked size in bytes, and contents."""

    began_at: datetime
    unpacked_size: int
    contents: Contents


@dataclass(frozen=True)
class Losses:
    """Data that a restore would lose: number of rows missing or different in the backup, by table; time of the last change."""

    rows: dict[str, int] = field(default_factory=dict)
    last_change: datetime | str | None = None
    is_unreadable: bool = False

    def describe(self) -> str:
        """Return the losses in words."""
        if self.is_unreadable:
            return "what it holds cannot be read, so nobody can say what would be lost"
        named = ", ".join(f"{table} {many:,}" for table, many in sorted(self.rows.items()))
        changed = f"; the last recorded deed was at {self.last_change}" if self.last_change else ""
        return f"rows that the backup lacks or holds otherwise: {named or 'none'}{changed}"


class Staged(Protocol):
    """A backup, restored into a database beside the site's and verified."""

    @property
    def connection(self) -> dict[str, Any]:
        """Django's settings of this database."""

    def losses(self) -> Losses | None:
        """Return the site's data that is not in the backup; None if the site's database holds no data of users."""

    def take_over(self) -> str:
        """Replace the site's database by it in one step. Returns where the old one is kept; '' if there was none."""

    def move_to(self, place: str) -> None:
        """Move it to another place, where nothing is yet. Raises RestoreRefused."""


class Database(Protocol):
    """Operations of backups on the site's database."""

    engine: str

    def dump(self, packed: Path, report: ReportProgress) -> Dump:
        """Copy the database into one file while it is in use. Raises BackupFailed."""

    def staged(self, packed: Path, manifest: BackupManifest, report: ReportProgress) -> AbstractContextManager[Staged]:
        """Restore into a temporary database and compare it with the manifest; removed unless it was moved. Raises BadBackup."""

    def refuse_in_use(self) -> None:
        """Raise RestoreRefused while another process has the database open, as far as that can be detected."""


def read_contents(cursor: Any, tables: list[str]) -> Contents:
    """Count the rows of each table, and list the migrations that were applied."""
    rows = {}
    for table in tables:
        cursor.execute(f'SELECT count(*) FROM "{table}"')  # noqa: S608 (a name that the database itself tells)
        rows[table] = cursor.fetchone()[0]
    migrations: dict[str, list[str]] = {}
    if "django_migrations" in tables:
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY app, name")
        for app, name in cursor.fetchall():
            migrations.setdefault(app, []).append(name)
    return Contents(rows=rows, migrations={app: tuple(names) for app, names in migrations.items()})


def compare(held: Contents, manifest: BackupManifest) -> None:
    """Raise BadBackup if a restored database does not match the manifest."""
    wanted = manifest.contents
    if held.migrations != wanted.migrations:
        raise BadBackup(f"{manifest.name} is of another schema than its manifest says.")
    wrong = [table for table in sorted(held.rows.keys() | wanted.rows.keys()) if held.rows.get(table) != wanted.rows.get(table)]
    if wrong:
        raise BadBackup(f"{manifest.name} does not hold the rows that its manifest says, in {', '.join(wrong)}.")
