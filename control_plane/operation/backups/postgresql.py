"""PostgreSQL: copied by `pg_dump` at one snapshot, verified in a temporary database, and replaced by renaming two databases."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from control_plane.operation.backups.databases import EPHEMERAL_TABLES, USER_DATA_TABLES, Dump, Losses, compare, read_contents
from control_plane.operation.backups.documents import BackupManifest, Contents
from control_plane.operation.backups.errors import BackupFailed, BackupsError, BadBackup, RestoreRefused
from control_plane.operation.backups.store import ReportProgress

MAGIC = b"PGDMP"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
TOOL_SECONDS = 6 * 3600
# libpq's environment variables by Django's setting.
_LIBPQ_VARIABLES = {"HOST": "PGHOST", "PORT": "PGPORT", "USER": "PGUSER", "PASSWORD": "PGPASSWORD"}


class PostgresqlDatabase:
    """The site's database on a PostgreSQL server."""

    engine = "postgresql"

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings, self.name = settings, str(settings["NAME"])

    def dump(self, packed: Path, report: ReportProgress) -> Dump:
        _require_tools(BackupFailed)
        try:
            with self.connect() as connection:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                began_at = datetime.now(UTC)
                snapshot = _scalar(connection, "SELECT pg_export_snapshot()")
                report("Copying the database", 0)
                self.run(["pg_dump", "-Fc", "--no-owner", f"--snapshot={snapshot}", f"--file={packed}"], BackupFailed)
                contents = _contents(connection)
        except psycopg.Error as error:
            raise BackupFailed(f"The database could not be copied: {error}. Nothing was stored; see that it runs.") from error
        packed.chmod(0o600)
        report("Copying the database", 1)
        return Dump(began_at, packed.stat().st_size, contents)

    @contextmanager
    def staged(self, packed: Path, manifest: BackupManifest, report: ReportProgress) -> Iterator["StagedPostgresql"]:
        _require_tools(BadBackup)
        with packed.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise BadBackup(f"{manifest.name} is no copy that pg_dump made.")
        name = f"cohort_restoring_{uuid.uuid4().hex[:12]}"
        try:
            with self.connect("postgres") as server:
                server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        except psycopg.Error as error:
            raise BadBackup(
                f"{manifest.name} could not be tried out: {error}. The user needs the right to make databases (CREATEDB)."
            ) from error
        try:
            report("Restoring it into a temporary database", 0)
            self.run(["pg_restore", "--exit-on-error", "--no-owner", "-d", name, str(packed)], BadBackup, database=name)
            report("Checking it", 0)
            with self.connect(name) as connection:
                compare(_contents(connection), manifest)
            yield StagedPostgresql(self, name)
        finally:
            with self.connect("postgres") as server:
                server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def refuse_in_use(self) -> None:
        try:
            with self.connect("postgres") as server:
                others = _scalar(server, "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", self.name)
        except psycopg.Error as error:
            raise RestoreRefused(
                f"The database's server does not answer: {error}. Nothing was changed; see DATABASE_URL."
            ) from error
        if others:
            raise RestoreRefused(
                f"{others} connections to the database are open. Nothing was changed; stop the web server and the worker first "
                "(`systemctl stop cohort-web.socket cohort-web cohort-worker`)."
            )

    def connect(self, database: str = "") -> "psycopg.Connection[Any]":
        """Return a connection to a database of the server, by default the site's."""
        options = {key: value for key, value in self._settings.get("OPTIONS", {}).items() if key.startswith("ssl")}
        parts = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
        given = {name: self._settings[part] for name, part in parts.items() if self._settings.get(part)}
        return psycopg.connect(dbname=database or self.name, autocommit=True, **given, **options)

    def settings(self, name: str) -> dict[str, Any]:
        """Return Django's settings of another database on the same server."""
        return {**self._settings, "NAME": name}

    def run(self, command: list[str], failure: type[BackupsError], *, database: str = "") -> None:
        """Run a client tool. The password is in the environment, since every user can read command lines."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        env |= {name: str(self._settings[part]) for part, name in _LIBPQ_VARIABLES.items() if self._settings.get(part)}
        env |= {"PGDATABASE": database or self.name}
        options = self._settings.get("OPTIONS", {})
        env |= {f"PG{key.upper()}": str(value) for key, value in options.items() if key in ("sslmode", "sslrootcert")}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=TOOL_SECONDS, check=False)
        if done.returncode:
            output = "; ".join(done.stderr.strip().splitlines()[:5]) or "it says nothing"
            raise failure(
                f"{command[0]} failed: {output}. The site's database is as it was; see that the client tools on the PATH are "
                "at least of the server's version."
            )


class StagedPostgresql:
    """A restored database beside the site's."""

    def __init__(self, database: PostgresqlDatabase, name: str) -> None:
        self._database, self._name = database, name

    @property
    def connection(self) -> dict[str, Any]:
        return self._database.settings(self._name)

    def losses(self) -> Losses | None:
        try:
            with self._database.connect() as current, self._database.connect(self._name) as restored:
                tables = _tables(current)
                if not any(_count(current, table) for table in USER_DATA_TABLES if table in tables):
                    return None
                there = set(_tables(restored))
                rows = {
                    table: _count_lost(current, restored if table in there else None, table)
                    for table in tables
                    if table not in EPHEMERAL_TABLES
                }
                last = _scalar(current, "SELECT max(at) FROM audit_auditevent") if "audit_auditevent" in tables else None
        except psycopg.OperationalError:
            # The site's database does not exist yet.
            return None
        return Losses({table: many for table, many in rows.items() if many}, f"{last:%Y-%m-%d %H:%M:%S} UTC" if last else None)

    def take_over(self) -> str:
        aside = f"{self._database.name}_before_{datetime.now(UTC):%Y%m%dT%H%M%S}"
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        own, new, old = (sql.Identifier(name) for name in (self._database.name, self._name, aside))
        with self._database.connect("postgres") as server:
            is_there = _scalar(server, "SELECT count(*) FROM pg_database WHERE datname = %s", self._database.name)
            try:
                with server.transaction():
                    if is_there:
                        server.execute(rename.format(own, old))
                    server.execute(rename.format(new, own))
            except psycopg.errors.ObjectInUse as error:
                raise RestoreRefused(
                    "Somebody uses the database. Nothing was changed; stop the web server and the worker first."
                ) from error
        return aside if is_there else ""

    def move_to(self, place: str) -> None:
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        try:
            with self._database.connect("postgres") as server:
                server.execute(rename.format(sql.Identifier(self._name), sql.Identifier(place)))
        except psycopg.Error as error:
            raise RestoreRefused(f"The database {place!r} could not be made: {error}. Nothing was changed.") from error


def _require_tools(failure: type[BackupsError]) -> None:
    if missing := [tool for tool in ("pg_dump", "pg_restore") if shutil.which(tool) is None]:
        raise failure(
            f"{' and '.join(missing)} cannot be found on the PATH. Nothing was changed; install PostgreSQL's client tools of the "
            "server's version (`apt-get install postgresql-client`) and try again."
        )


def _contents(connection: "psycopg.Connection[Any]") -> Contents:
    return read_contents(connection.cursor(), _tables(connection))


def _tables(connection: "psycopg.Connection[Any]") -> list[str]:
    return [row[0] for row in connection.execute(TABLES).fetchall()]


def _count_lost(current: "psycopg.Connection[Any]", restored: "psycopg.Connection[Any] | None", table: str) -> int:
    """Return by how many rows the table is larger: two databases of a server cannot be compared row by row in SQL."""
    return max(0, _count(current, table) - (_count(restored, table) if restored else 0))


def _count(connection: "psycopg.Connection[Any]", table: str) -> int:
    return int(connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()[0])  # type: ignore[index]


def _scalar(connection: "psycopg.Connection[Any]", query: str, *values: object) -> Any:
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None
