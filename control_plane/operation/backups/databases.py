"""What both kinds of database have in common: what they hold, and what a backup restored beside them is."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from control_plane.operation.backups.documents import BackupManifest, Contents
from control_plane.operation.backups.errors import BadBackup
from control_plane.operation.backups.store import Tell

# Rows of these make a database one that would be missed; what `migrate` puts in the others would not be.
PRECIOUS = ("accounts_user", "groups_group", "groups_analysis", "deployments_stack", "audit_auditevent")
# Rows of these come and go by themselves.
FLEETING = frozenset({"accounts_cache", "deployments_worker", "django_session"})


@dataclass(frozen=True)
class Dump:
    """A copy that was made: when it began, how large it is unpacked, and what it holds."""

    began_at: datetime
    unpacked_size: int
    contents: Contents


@dataclass(frozen=True)
class Losses:
    """What a restore would lose: rows that the backup lacks or holds otherwise, by table, and when something last changed."""

    rows: dict[str, int] = field(default_factory=dict)
    last_change: datetime | str | None = None
    is_unreadable: bool = False

    def in_words(self) -> str:
        """For a person."""
        if self.is_unreadable:
            return "what it holds cannot be read, so nobody can say what would be lost"
        named = ", ".join(f"{table} {many:,}" for table, many in sorted(self.rows.items()))
        changed = f"; the last recorded deed was at {self.last_change}" if self.last_change else ""
        return f"rows that the backup lacks or holds otherwise: {named or 'none'}{changed}"


class Staged(Protocol):
    """A backup, restored into a database beside the site's and found whole."""

    @property
    def connection(self) -> dict[str, Any]:
        """What Django's settings say of a database, to reach this one."""

    def losses(self) -> Losses | None:
        """What the site's database holds beyond it; None if it holds nothing that would be missed."""

    def take_over(self) -> str:
        """Put it in the place of the site's, in one step. Returns where the old one is kept; '' if there was none."""

    def move_to(self, place: str) -> None:
        """Put it in another place, where nothing is yet."""


class Database(Protocol):
    """The site's database, as far as backups are concerned."""

    engine: str

    def dump(self, packed: Path, tell: Tell) -> Dump:
        """Copy it into one file while it is in use. Raises BackupFailed."""

    def staged(self, packed: Path, manifest: BackupManifest, tell: Tell) -> AbstractContextManager[Staged]:
        """Restore into a temporary database and compare it with the manifest. What was not moved is removed. Raises BadBackup."""

    def refuse_in_use(self) -> None:
        """Raises RestoreRefused while another process has it open, as far as that can be told."""


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


def compare(found: Contents, manifest: BackupManifest) -> None:
    """Raises BadBackup where a restored database does not hold what the manifest says."""
    wanted = manifest.contents
    if found.migrations != wanted.migrations:
        raise BadBackup(f"{manifest.name} is of another schema than its manifest says.")
    wrong = [table for table in sorted(found.rows.keys() | wanted.rows.keys()) if found.rows.get(table) != wanted.rows.get(table)]
    if wrong:
        raise BadBackup(f"{manifest.name} does not hold the rows that its manifest says, in {', '.join(wrong)}.")
