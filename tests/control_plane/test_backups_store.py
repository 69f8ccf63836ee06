"""Where backups lie: an S3 prefix that nothing is overwritten in, and which old ones of a folder go."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from django.core.management import CommandError, call_command
from moto import mock_aws

from control_plane.audit.models import AuditEvent
from control_plane.backups.documents import Contents, new_name
from control_plane.backups.errors import BadBackup, NameInUse
from control_plane.backups.services import age, making
from control_plane.backups.services.expiry import expired
from control_plane.backups.sqlite import SqliteDatabase
from control_plane.backups.store import FolderStore, S3Store, open_store
from control_plane.config import config
from control_plane.health import figures

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("BACKUP_STORE", "s3://cohort-backups/database")
    config.cache_clear()
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="cohort-backups")
        yield client
    monkeypatch.undo()
    config.cache_clear()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A database of one table in the site's place: the tests' own is locked by the test itself."""
    import sqlite3

    with sqlite3.connect(tmp_path / "small.sqlite3") as connection:
        connection.execute("CREATE TABLE one (id INTEGER PRIMARY KEY)")
        connection.executemany("INSERT INTO one VALUES (?)", [(number,) for number in range(1000)])
    monkeypatch.setattr(making, "site_database", lambda: SqliteDatabase(tmp_path / "small.sqlite3"))
    monkeypatch.setattr("control_plane.backups.services.checking.site_database", lambda: SqliteDatabase(tmp_path / "small.sqlite3"))


def run(*words: str) -> Any:
    output = StringIO()
    call_command("backup", *words, "--json", stdout=output, stderr=StringIO())
    return json.loads(output.getvalue())


def keys(client: Any) -> list[str]:
    return [one["Key"] for one in client.list_objects_v2(Bucket="cohort-backups").get("Contents", [])]


@pytest.mark.django_db
@pytest.mark.usefixtures("small")
def test_a_backup_in_s3_is_made_listed_and_verified(bucket: Any) -> None:
    made = run("create")
    assert keys(bucket) == [f"database/{made['name']}", f"database/{made['name']}.json"]
    assert [one["name"] for one in run("list")] == [made["name"]]
    assert run("verify", "latest")[0]["rows"] == 1000
    event = AuditEvent.objects.get()
    assert (event.action, event.target, event.details["store"]) == ("backup.create", made["name"], "s3://cohort-backups/database/")
    began_at = datetime.fromisoformat(made["began_at"])
    assert age.recorded() == began_at
    assert age.stored() == began_at.replace(microsecond=0)
    shown = figures.gather()
    assert shown.backup_at == began_at
    assert not shown.is_backup_late


@pytest.mark.django_db
@pytest.mark.usefixtures("small")
def test_two_within_a_second_do_not_overwrite_each_other(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = SqliteDatabase.dump

    def at_noon(self: SqliteDatabase, *arguments: Any) -> Any:
        from dataclasses import replace

        return replace(dump(self, *arguments), began_at=NOON)

    monkeypatch.setattr(SqliteDatabase, "dump", at_noon)
    names = [run("create")["name"] for _ in range(3)]
    assert names == ["cohort-20261124T120000Z.sqlite3.gz", *(f"cohort-20261124T120000Z-{n}.sqlite3.gz" for n in (2, 3))]
    assert [one["name"] for one in run("list")] == names[::-1]


@pytest.mark.django_db
@pytest.mark.usefixtures("small")
def test_what_was_stored_otherwise_than_sent_is_found_out_and_is_no_backup(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = S3Store.fetch

    def flipped(self: S3Store, name: str, to: Path, size: int) -> None:
        fetch(self, name, to, size)
        to.write_bytes(to.read_bytes()[:-1] + b"x")

    monkeypatch.setattr(S3Store, "fetch", flipped)
    with pytest.raises(CommandError, match="SHA-256"):
        run("create")
    assert keys(bucket) == []
    assert not AuditEvent.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("small")
def test_an_upload_that_fails_leaves_nothing_that_looks_complete(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_STORE", "s3://cohort-nobody-s/database")
    config.cache_clear()
    with pytest.raises(CommandError, match="could not be reached"):
        run("create")
    assert keys(bucket) == []


def test_an_object_without_a_manifest_or_a_manifest_without_its_object_is_no_backup(bucket: Any, tmp_path: Path) -> None:
    store = open_store("s3://cohort-backups/database")
    source = tmp_path / "source"
    source.write_bytes(b"half")
    store.put(new_name(NOON, "sqlite", 1), source)
    bucket.put_object(Bucket="cohort-backups", Key=f"database/{new_name(NOON, 'sqlite', 2)}.json", Body=b"{}")
    bucket.put_object(Bucket="cohort-backups", Key="database/cohort-99999999T999999Z.sqlite3.gz.json", Body=b"{}")
    bucket.put_object(Bucket="cohort-backups", Key="database/cohort-99999999T999999Z.sqlite3.gz", Body=b"{}")
    assert store.names() == []
    with pytest.raises(NameInUse):
        store.put(new_name(NOON, "sqlite", 1), source)
    with pytest.raises(BadBackup):
        store.fetch(new_name(NOON, "sqlite", 1), tmp_path / "fetched", 3)


def test_every_object_is_sent_with_a_checksum_and_never_over_another(bucket: Any, tmp_path: Path) -> None:
    store = S3Store("cohort-backups", "database")
    sent: list[dict[str, Any]] = []
    store._client.meta.events.register("provide-client-params.s3.PutObject", lambda params, **_: sent.append(dict(params)))
    (tmp_path / "source").write_bytes(b"x")
    store.put(new_name(NOON, "sqlite", 1), tmp_path / "source")
    assert [(one["IfNoneMatch"], one["ChecksumAlgorithm"]) for one in sent] == [("*", "CRC32")]
    with pytest.raises(ClientError, match="Precondition"):
        store._client.put_object(Bucket="cohort-backups", Key=sent[0]["Key"], Body=b"", IfNoneMatch="*")


def test_hours_days_and_months_are_kept_and_the_rest_goes() -> None:
    every_hour = [new_name(NOON - timedelta(hours=hours), "sqlite", 1) for hours in range(24 * 500)]
    gone = set(expired(every_hour, 48, 35, 13))
    kept = [name for name in every_hour if name not in gone]
    assert kept[:48] == every_hour[:48]
    days = {name[7:15] for name in kept}
    assert {f"{NOON - timedelta(days=day):%Y%m%d}" for day in range(35)} <= days
    assert len({name[7:13] for name in kept}) == 13
    assert len(kept) < 48 + 35 + 13
    assert expired([*kept], 48, 35, 13) == [], "what was kept once is kept the next time"


@pytest.mark.parametrize("keep", [(48, 35, 13), (1, 0, 0)])
def test_the_newest_stays_whatever_its_age(keep: tuple[int, int, int]) -> None:
    old = new_name(NOON - timedelta(days=5000), "sqlite", 1)
    assert expired([old], *keep) == []


@pytest.mark.django_db
@pytest.mark.usefixtures("small")
def test_a_folder_s_old_ones_go_as_a_new_one_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"STORE": str(tmp_path / "store"), "KEEP_HOURLY": "1", "KEEP_DAILY": "0", "KEEP_MONTHLY": "0"}.items():
        monkeypatch.setenv(f"BACKUP_{name}", value)
    config.cache_clear()
    run("create")
    (tmp_path / "store" / "cohort-20200101T000000Z.sqlite3.gz").touch()
    newest = run("create")["name"]
    assert FolderStore(tmp_path / "store").names() == [newest]
    assert len(list((tmp_path / "store").iterdir())) == 2
    monkeypatch.undo()
    config.cache_clear()


@pytest.mark.parametrize("name", ["../../etc/passwd", "cohort-20261124T120000Z.sqlite3.gz/../x", "", "latest2"])
def test_a_name_leads_nowhere_but_to_backups(name: str, tmp_path: Path) -> None:
    from control_plane.backups.errors import NoBackup

    with pytest.raises(NoBackup):
        FolderStore(tmp_path).manifest(name)


def test_contents_hold_no_row_of_the_database() -> None:
    assert set(Contents.model_fields) == {"rows", "migrations"}
