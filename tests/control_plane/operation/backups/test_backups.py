"""Backups: made under load, restored row by row, and refused where they are not what they say."""

import gzip
import hashlib
import json
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.control_plane.backed_up_sites import Site, copy_site, rows_of
from tests.slow import IS_SLOW_WANTED


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A small site with a backup. Nobody changes it: a test takes a copy."""
    site = Site(tmp_path_factory.mktemp("made"))
    site.manage("migrate", "-v0")
    site.fill(6, 2)
    site.create()
    return site


@pytest.fixture
def site(made: Site, tmp_path: Path) -> Site:
    return copy_site(made, tmp_path)


def backup_of(site: Site) -> Path:
    return next(site.store.glob("*.gz"))


def rewrite_manifest(site: Site, change: Callable[[dict[str, Any]], object]) -> None:
    path = next(site.store.glob("*.json"))
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def agree(site: Site, document: dict[str, Any]) -> None:
    """Whoever can write to the store can make the manifest fit."""
    data = backup_of(site).read_bytes()
    document |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


class Writer(threading.Thread):
    """Commits counted rows all the time, and notes when each was committed."""

    def __init__(self, file: Path) -> None:
        super().__init__(daemon=True)
        self.file, self.ended, self.committed = file, threading.Event(), list[tuple[int, datetime]]()

    def run(self) -> None:
        with closing(sqlite3.connect(self.file, timeout=30, isolation_level=None)) as connection:
            number = 0
            while not self.ended.is_set():
                number += 1
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    "INSERT INTO deployments_tally (name, label, count, seconds) VALUES ('drill', ?, ?, 0)", (str(number), number)
                )
                connection.execute("COMMIT")
                self.committed.append((number, datetime.now(UTC)))

    def __enter__(self) -> "Writer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()


def test_the_drill_every_row_comes_back_that_was_committed_before_the_backup_began(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.manage("migrate", "-v0")
    people, groups, deeds = (600, 200, 1000) if IS_SLOW_WANTED else (90, 30, 300)
    site.fill(people, groups)
    with Writer(site.file) as writer:
        while len(writer.committed) < deeds:
            time.sleep(0.05)
        document = site.create()
    before = site.rows()
    assert sum(map(len, before.values())) > 4 * deeds
    began_at = datetime.fromisoformat(document["began_at"])
    due = {number for number, at in writer.committed if at < began_at}
    assert len(writer.committed) > len(due) >= deeds, "something was written during the backup, too"
    site.destroy()
    site.manage("backup", "restore", "latest")
    after = site.rows()
    drilled = {row[3] for row in after["deployments_tally"] if row[1] == "drill"}
    assert due <= drilled == set(range(1, len(drilled) + 1)), "a row is missing, or one came without those before it"
    for table in before.keys() - {"deployments_tally"}:
        assert after[table] == before[table], table
    assert set(after["deployments_tally"]) <= set(before["deployments_tally"])


def test_it_is_private_and_says_what_it_holds(site: Site) -> None:
    for path in site.store.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    (listed,) = json.loads(site.manage("backup", "list", "--json"))
    assert listed["name"] == backup_of(site).name
    assert listed["rows"] > 50
    manifest = json.loads(next(site.store.glob("*.json")).read_text())
    assert manifest["contents"]["rows"]["accounts_user"] == 6
    assert "0001_initial" in manifest["contents"]["migrations"]["groups"]
    assert "whole" in site.manage("backup", "verify", "--all")


def test_a_database_with_data_is_not_overwritten_without_force_and_is_kept_aside_with_it(site: Site) -> None:
    site.manage("group", "create", "later-lab")
    before = site.rows()
    said = site.manage("backup", "restore", "latest", status=2)
    assert "groups_group 1" in said
    assert "last recorded deed" in said
    assert site.rows() == before
    document = json.loads(site.manage("backup", "restore", "latest", "--force", "--json"))
    assert document["lost"]["groups_group"] == 1
    assert [row[1] for row in rows_of(site.file)["groups_group"]].count("later-lab") == 0
    assert any("later-lab" in row for row in rows_of(Path(document["kept_aside"]))["groups_group"])
    assert site.manage("migrate", "--check") == ""
    with closing(sqlite3.connect(site.file)) as connection:
        assert connection.execute("SELECT count(*) FROM deployments_stack WHERE known_generation = generation").fetchone()[0] == 2
        assert connection.execute("SELECT action FROM audit_auditevent ORDER BY id DESC LIMIT 1").fetchone()[0] == "backup.restore"


def test_it_can_be_restored_beside_the_database(site: Site, tmp_path: Path) -> None:
    before = site.file.read_bytes()
    site.manage("backup", "restore", "latest", "--to", str(tmp_path / "beside.sqlite3"))
    assert rows_of(tmp_path / "beside.sqlite3")["accounts_user"] == site.rows()["accounts_user"]
    assert site.file.read_bytes() == before
    assert "is there already" in site.manage("backup", "restore", "latest", "--to", str(tmp_path / "beside.sqlite3"), status=2)


def test_nothing_is_restored_under_a_process_that_has_the_database_open(site: Site) -> None:
    with closing(sqlite3.connect(site.file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("SELECT count(*) FROM accounts_user").fetchone()
        assert "has the database open" in site.manage("backup", "restore", "latest", "--force", status=2)
        moment = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        connection.execute(
            "INSERT INTO deployments_worker (name, started_at, seen_at, doing) VALUES ('host:1', ?, ?, '')", (moment, moment)
        )
        connection.commit()
    said = site.manage("backup", "restore", "latest", "--force", status=2)
    assert "host:1" in said
    assert "stop it" in said


def cut_short(site: Site) -> None:
    path = backup_of(site)
    path.write_bytes(path.read_bytes()[:-500])


def flipped(site: Site) -> None:
    path = backup_of(site)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def cut_short_with_a_manifest_that_fits(site: Site) -> None:
    cut_short(site)
    rewrite_manifest(site, lambda document: agree(site, document))


def bomb(site: Site) -> None:
    backup_of(site).write_bytes(gzip.compress(b"SQLite format 3\0" + bytes(50_000_000)))
    rewrite_manifest(site, lambda document: agree(site, document))


def larger_than_the_disk(site: Site) -> None:
    rewrite_manifest(site, lambda document: document.update(unpacked_size=1 << 60))


def no_database(site: Site) -> None:
    data = b"%PDF-1.7" + bytes(1000)
    backup_of(site).write_bytes(gzip.compress(data))

    def fit(document: dict[str, Any]) -> None:
        agree(site, document)
        document["unpacked_size"] = len(data)

    rewrite_manifest(site, fit)


def rows_fewer(site: Site) -> None:
    rewrite_manifest(site, lambda document: document["contents"]["rows"].update(accounts_user=7))


def of_another_engine(site: Site) -> None:
    rewrite_manifest(site, lambda document: document.update(engine="postgresql"))


def of_a_newer_release(site: Site) -> None:
    path, plain = backup_of(site), site.var / "plain"
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    with closing(sqlite3.connect(plain)) as connection:
        connection.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('groups', '0999_later', '2027-01-01')")
        connection.commit()
    path.write_bytes(gzip.compress(plain.read_bytes()))

    def fit(document: dict[str, Any]) -> None:
        agree(site, document)
        document["unpacked_size"] = plain.stat().st_size
        document["contents"]["migrations"]["groups"].append("0999_later")
        document["contents"]["rows"]["django_migrations"] += 1

    rewrite_manifest(site, fit)
    plain.unlink()


def of_another_format(site: Site) -> None:
    rewrite_manifest(site, lambda document: document.update(format=2))


def of_something_else(site: Site) -> None:
    next(site.store.glob("*.json")).write_text('{"Records": []}')


def without_a_manifest(site: Site) -> None:
    next(site.store.glob("*.json")).unlink()


def without_the_file(site: Site) -> None:
    backup_of(site).unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut_short, "cut short"),
        (flipped, "SHA-256"),
        (cut_short_with_a_manifest_that_fits, "cannot be decompressed"),
        (bomb, "longer than"),
        (larger_than_the_disk, "more than the disk has free"),
        (no_database, "no SQLite database"),
        (rows_fewer, "accounts_user"),
        (of_another_engine, "is of postgresql"),
        (of_a_newer_release, "newer release"),
        (of_another_format, "is not one of Cohort's backups"),
        (of_something_else, "is not one of Cohort's backups"),
        (without_a_manifest, "There is no backup"),
        (without_the_file, "There is no backup"),
    ],
)
def test_a_backup_that_is_not_what_it_says_is_refused_and_nothing_changes(
    site: Site, spoil: Callable[[Site], None], words: str
) -> None:
    spoil(site)
    before = site.rows()
    said = site.manage("backup", "restore", "latest", "--force", status=2)
    assert words in said
    assert "Nothing was changed" in said
    assert site.rows() == before
    assert sorted(path.name for path in site.var.iterdir() if path.suffix == ".sqlite3") == ["cohort.sqlite3"]
    assert not [path for path in site.var.iterdir() if path.name.startswith(".")]


def test_an_older_schema_is_migrated_on_the_way(site: Site) -> None:
    with closing(sqlite3.connect(site.file)) as connection:
        # As if the table of the cache had come with this release.
        row = connection.execute("SELECT app, name FROM django_migrations WHERE app = 'uploads'").fetchone()
        connection.execute("DROP TABLE uploads_upload")
        connection.execute("DELETE FROM django_migrations WHERE app = ? AND name = ?", row)
        connection.commit()
    for path in site.store.iterdir():
        path.unlink()
    site.create()
    document = json.loads(site.manage("backup", "restore", "latest", "--force", "--json"))
    assert document["migrated"] is True
    assert "uploads_upload" in site.rows()
    assert site.manage("migrate", "--check") == ""


def test_two_within_a_second_are_two_and_a_failed_one_is_none(made: Site, tmp_path: Path) -> None:
    from control_plane.operation.backups.documents import new_name
    from control_plane.operation.backups.errors import NameInUse
    from control_plane.operation.backups.store import FolderStore

    store, source = FolderStore(tmp_path / "store"), tmp_path / "source"
    source.write_bytes(b"one")
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    names = [new_name(moment, "sqlite", number) for number in (1, 2)]
    assert names == ["cohort-20261124T000000Z.sqlite3.gz", "cohort-20261124T000000Z-2.sqlite3.gz"]
    store.put(names[0], source)
    with pytest.raises(NameInUse):
        store.put(names[0], source)
    assert (tmp_path / "store" / names[0]).read_bytes() == b"one"
    assert store.names() == [], "what has no manifest is no backup"


def test_a_store_that_cannot_be_written_is_said_and_leaves_nothing(site: Site) -> None:
    blocked = site.var.parent / "blocked"
    blocked.write_text("a file where the folder should be")
    site.env["BACKUP_STORE"] = os.fspath(blocked)
    assert "could not be used" in site.manage("backup", "create", status=2)
    assert not [path for path in site.var.iterdir() if path.name.startswith(".")]
