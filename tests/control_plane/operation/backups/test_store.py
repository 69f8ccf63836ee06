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

from control_plane.base.audit.models import AuditEvent
from control_plane.base.config import config
from control_plane.operation.backups.documents import Contents, new_name
from control_plane.operation.backups.errors import BadBackup, NameInUse
from control_plane.operation.backups.services import age, making
from control_plane.operation.backups.services.expiry import expired, expired_manual
from control_plane.operation.backups.sqlite import SqliteDatabase
from control_plane.operation.backups.store import FolderStore, S3Store, open_store
from control_plane.operation.health import figures

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
    monkeypatch.setattr(
        "control_plane.operation.backups.services.checking.site_database", lambda: SqliteDatabase(tmp_path / "small.sqlite3")
    )


def run(*words: str) -> Any:
    output = StringIO()
    call_command("backup", *words, "--json", stdout=output, stderr=StringIO())
    return json.loads(output.getvalue())


def keys(client: Any) -> list[str]:
    return [content["Key"] for content in client.list_objects_v2(Bucket="cohort-backups").get("Contents", [])]


@pytest.mark.django_db
@pytest.mark.usefixtures("small")
def test_a_backup_in_s3_is_made_listed_and_verified(bucket: Any) -> None:
    made = run("create")
    assert keys(bucket) == [f"database/{made['name']}", f"database/{made['name']}.json"]
    assert [row["name"] for row in run("list")] == [made["name"]]
    assert run("verify", "latest")[0]["rows"] == 1000
    event = AuditEvent.objects.get()
    assert (event.action, event.target, event.details["store"]) == ("backup.create", made["name"], "s3://cohort-backups/database/")
    began_at = datetime.fromisoformat(made["began_at"])
    assert age.newest_recorded() == began_at
    assert age.newest_stored() == began_at.replace(microsecond=0)
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
    names = [run("create", "--scheduled")["name"] for _ in range(3)]
    assert names == ["cohort-20261124T120000Z.sqlite3.gz", *(f"cohort-20261124T120000Z-{n}.sqlite3.gz" for n in (2, 3))]
    assert [row["name"] for row in run("list")] == names[::-1]


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
    assert [(item["IfNoneMatch"], item["ChecksumAlgorithm"]) for item in sent] == [("*", "CRC32")]
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


@pytest.mark.parametrize("name", ["../../etc/passwd", "cohort-20261124T120000Z.sqlite3.gz/../x", "", "latest2"])
def test_a_name_leads_nowhere_but_to_backups(name: str, tmp_path: Path) -> None:
    from control_plane.operation.backups.errors import NoBackup

    with pytest.raises(NoBackup):
        FolderStore(tmp_path).manifest(name)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder of backups that keeps the last hour's last one alone."""
    for name, value in {"STORE": str(tmp_path / "store"), "KEEP_HOURLY": "1", "KEEP_DAILY": "0", "KEEP_MONTHLY": "0"}.items():
        monkeypatch.setenv(f"BACKUP_{name}", value)
    config.cache_clear()
    yield tmp_path / "store"
    monkeypatch.undo()
    config.cache_clear()


@pytest.mark.django_db
@pytest.mark.usefixtures("small")
def test_a_folder_s_old_ones_go_as_a_new_one_is_made(folder: Path) -> None:
    run("create", "--scheduled")
    (folder / "cohort-20200101T000000Z.sqlite3.gz").touch()
    newest = run("create", "--scheduled")["name"]
    assert FolderStore(folder).names() == [newest]
    assert len(list(folder.iterdir())) == 2


@pytest.mark.django_db
@pytest.mark.usefixtures("small", "folder")
def test_a_copy_made_by_hand_stays_whatever_is_made_after_it() -> None:
    by_hand = [run("create")["name"] for _ in range(3)]
    scheduled = [run("create", "--scheduled") for _ in range(2)]
    assert scheduled[1]["removed"] == [scheduled[0]["name"]], "and what is removed is said"
    assert run("create")["removed"] == []
    listed = {row["name"]: row["made"] for row in run("list")}
    assert {name for name, made in listed.items() if made == "by hand"} >= set(by_hand)
    assert [name for name, made in listed.items() if made == "scheduled"] == [scheduled[1]["name"]]
    assert AuditEvent.objects.filter(action="backup.expire").values_list("target", flat=True)[0] == scheduled[0]["name"]
    assert run("verify", by_hand[0])[0]["rows"] == 1000, "a copy made by hand is a backup like any other"


@pytest.mark.django_db
@pytest.mark.usefixtures("small")
def test_what_a_new_backup_removes_is_said_in_words(folder: Path) -> None:
    old = run("create", "--scheduled")["name"]
    output = StringIO()
    call_command("backup", "create", "--scheduled", stdout=output, stderr=StringIO())
    assert f"Removed, as it is kept no longer: {old}" in output.getvalue()


def test_copies_made_by_hand_end_by_a_rule_of_their_own_if_one_is_set() -> None:
    old, new = (new_name(NOON - timedelta(days=days), "sqlite", 1, is_manual=True) for days in (40, 20))
    scheduled = new_name(NOON - timedelta(days=50), "sqlite", 1)
    assert expired_manual([old, new, scheduled], NOON - timedelta(days=30)) == [old]
    assert expired_manual([old], NOON - timedelta(days=30)) == [], "the newest of all stays"
    assert expired([old, new, scheduled], 1, 0, 0) == [], "and the rule of the scheduled ones leaves them alone"


@pytest.mark.django_db
@pytest.mark.usefixtures("small")
def test_a_backup_is_removed_by_its_name_and_that_is_recorded(folder: Path) -> None:
    first, second = run("create")["name"], run("create")["name"]
    assert run("remove", first)["left"] == 1
    assert sorted(path.name for path in folder.iterdir()) == [second, f"{second}.json"]
    event = AuditEvent.objects.get(action="backup.remove")
    assert (event.target, event.details["made"]) == (first, "by hand")
    for name in (first, "latest", "../cohort.sqlite3"):
        with pytest.raises(CommandError, match="Nothing was removed"):
            run("remove", name)


@pytest.mark.django_db
@pytest.mark.usefixtures("small")
def test_a_backup_under_object_lock_is_not_removed_and_the_day_is_named(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_STORE", "s3://cohort-locked/database")
    config.cache_clear()
    bucket.create_bucket(Bucket="cohort-locked", ObjectLockEnabledForBucket=True)
    name = run("create")["name"]
    until = datetime.now(UTC) + timedelta(days=30)
    for key in (f"database/{name}", f"database/{name}.json"):
        bucket.put_object_retention(Bucket="cohort-locked", Key=key, Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until})
    with pytest.raises(CommandError, match=f"Object Lock until {until:%Y-%m-%d %H:%M} UTC. Nothing was removed"):
        run("remove", name)
    assert [row["name"] for row in run("list")] == [name]
    assert not AuditEvent.objects.filter(action="backup.remove").exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("small")
def test_a_host_that_may_delete_no_backup_says_who_can(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = run("create")["name"]

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", _denying("DeleteObject"))
    with pytest.raises(CommandError, match=r"Nothing was removed.*administrator of the AWS account"):
        run("remove", name)
    assert [row["name"] for row in run("list")] == [name]


def _denying(operation: str) -> Any:
    """S3 with AccessDenied for one operation."""
    from botocore.client import BaseClient

    call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def make(self: Any, name: str, parameters: Any) -> Any:
        if name == operation:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, name)
        return call(self, name, parameters)

    return make


def test_contents_hold_no_row_of_the_database() -> None:
    assert set(Contents.model_fields) == {"rows", "migrations"}
