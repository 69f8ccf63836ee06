"""The audit trail is only ever added to, by Django and by SQL alike, and can be taken away as a file."""

import csv
import json
import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connection, transaction
from django.test import Client, TransactionTestCase

from control_plane.accounts.models import User
from control_plane.base.audit import append_only, export
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AppendOnly, AuditEvent, record

pytestmark = pytest.mark.django_db
EXPORT = "/admin/audit/auditevent/export/"


@pytest.fixture
def admin_client(administrator: User) -> Client:
    client = Client()
    client.force_login(administrator)
    return client


def sql(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def fetch(client: Client, query: str) -> str:
    answer = client.get(f"{EXPORT}?{query}")
    assert answer.status_code == 200
    assert answer["content-disposition"].startswith("attachment; filename=")
    return answer.getvalue().decode()


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("audit", "export", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_row_cannot_be_changed_or_removed(operator: Actor) -> None:
    event = record(operator, "test", "something", before={"a": 1})
    event.action = "something else"
    with pytest.raises(AppendOnly):
        event.save()
    with pytest.raises(AppendOnly):
        event.delete()
    with pytest.raises(AppendOnly):
        AuditEvent.objects.update(action="other")
    with pytest.raises(AppendOnly):
        AuditEvent.objects.all().delete()
    assert AuditEvent.objects.get().action == "test"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditevent SET action = 'other'",
        "UPDATE audit_auditevent SET details = '{}'",
        "UPDATE audit_auditevent SET actor_user_id = NULL, target = 'other'",
        "UPDATE audit_auditevent SET actor_user_id = actor_user_id",
        "UPDATE audit_auditevent SET count = count + 1",
        "DELETE FROM audit_auditevent",
    ],
)
def test_the_database_refuses_too(administrator: User, statement: str) -> None:
    record(Actor(label=administrator.email, channel="web", user=administrator), "test", "something", before={"a": 1})
    before = AuditEvent.objects.values().get()
    with pytest.raises(IntegrityError, match="only ever added to"):
        sql(statement)
    assert AuditEvent.objects.values().get() == before


@pytest.mark.parametrize(
    "change", ["count = count - 1", "count = count + 1, target = 'other'", "action = 'other', count = count + 1"]
)
def test_of_a_refusal_the_database_lets_nothing_but_the_count_grow(operator: Actor, change: str) -> None:
    event = record(operator, "access.refused", "GET /health/")
    sql("UPDATE audit_auditevent SET count = count + 1")
    with pytest.raises(IntegrityError, match="only ever added to"):
        sql(f"UPDATE audit_auditevent SET {change}")  # noqa: S608
    event.refresh_from_db()
    assert (event.action, event.target, event.count) == ("access.refused", "GET /health/", 2)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="INSERT OR REPLACE is SQLite's own")
def test_a_row_cannot_be_replaced_by_another_of_its_number(operator: Actor) -> None:
    event = record(operator, "test", "something")
    columns = "at, actor, channel, action, target, details"
    with pytest.raises(IntegrityError, match="only ever added to"):
        sql(f"INSERT OR REPLACE INTO audit_auditevent (id, {columns}) SELECT {event.pk}, {columns} FROM audit_auditevent")  # noqa: S608


def test_deleting_a_person_leaves_what_they_did(ada: User) -> None:
    record(Actor(label=ada.email, channel="web", user=ada), "test", "something")
    ada.delete()
    event = AuditEvent.objects.get()
    assert (event.actor, event.actor_user_id) == ("ada@example.org", None)


@pytest.mark.django_db(transaction=True)
def test_a_test_s_end_empties_the_table_and_leaves_it_guarded(operator: Actor) -> None:
    record(operator, "test", "something")
    TransactionTestCase("__init__")._fixture_teardown()  # type: ignore[attr-defined]
    assert not AuditEvent.objects.exists()
    record(operator, "test", "something")
    with pytest.raises(IntegrityError):
        sql("DELETE FROM audit_auditevent")


def test_the_triggers_can_be_made_again_after_a_migration_that_lost_them(operator: Actor) -> None:
    with append_only.without_triggers(connection):
        record(operator, "test", "something")
        sql("DELETE FROM audit_auditevent")
    record(operator, "test", "something")
    with pytest.raises(IntegrityError):
        sql("DELETE FROM audit_auditevent")


def test_it_can_be_taken_away_as_csv(admin_client: Client, operator: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "ROWS_PER_QUERY", 2)
    for number in range(5):
        record(operator, "test", f"number {number}", after={"name": 'a "quoted", one'})
    rows = list(csv.DictReader(StringIO(fetch(admin_client, "format=csv"))))
    assert [row["target"] for row in rows] == [*(f"number {number}" for number in range(5)), "audit trail"]
    assert json.loads(rows[0]["details"]) == {"after": {"name": 'a "quoted", one'}}
    event = AuditEvent.objects.get(action="audit.export")
    assert (event.actor, event.details["format"]) == ("admin@example.org", "csv")


def test_it_can_be_taken_away_as_lines_of_json(admin_client: Client, operator: Actor) -> None:
    record(operator, "test", "Ünïcode", after={"a": 1})
    first, *_ = fetch(admin_client, "format=jsonl").splitlines()
    assert json.loads(first)["target"] == "Ünïcode"
    assert json.loads(first)["details"] == {"after": {"a": 1}}


@pytest.mark.parametrize("target", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_taken_for_a_formula(admin_client: Client, operator: Actor, target: str) -> None:
    record(operator, "test", target)
    first, *_ = csv.DictReader(StringIO(fetch(admin_client, "format=csv"), newline=""))
    assert first["target"] == f"'{target}"


def test_an_export_holds_what_the_list_shows(admin_client: Client, operator: Actor) -> None:
    for number in range(120):
        record(operator, "test", f"number {number}")
    record(operator, "other", "number 3")
    assert len(fetch(admin_client, "format=jsonl&action=test&p=2").splitlines()) == 120
    [line] = fetch(admin_client, "format=jsonl&action=other&q=number").splitlines()
    assert json.loads(line)["action"] == "other"
    assert AuditEvent.objects.latest("pk").details["filters"] == "action=other&q=number"
    page = admin_client.get("/admin/audit/auditevent/?action=test").content.decode()
    assert f'href="{EXPORT}?action=test&amp;format=csv"' in page


@pytest.mark.parametrize("query", ["", "format=xlsx", "format=csv&nonsense__exact=1"])
def test_an_export_that_makes_no_sense_goes_back_to_the_list(admin_client: Client, query: str) -> None:
    answer = admin_client.get(f"{EXPORT}?{query}")
    assert (answer.status_code, answer["location"]) == (302, "/admin/audit/auditevent/")
    assert not AuditEvent.objects.exists()


def test_an_export_is_for_administrators(ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(is_staff=True)
    client = Client()
    client.force_login(ada)
    assert client.get(f"{EXPORT}?format=csv").status_code == 403
    event = AuditEvent.objects.get()
    assert (event.actor, event.action, event.target) == ("ada@example.org", "access.refused", f"GET {EXPORT}")


def test_the_command_prints_it(operator: Actor) -> None:
    record(operator, "test", "something")
    header, first, last = csv.reader(StringIO(run("--format", "csv")))
    assert (header[0], first[5], last[5]) == ("id", "test", "audit.export")


def test_the_command_writes_a_file_that_others_cannot_read(operator: Actor, tmp_path: Path) -> None:
    record(operator, "test", "something")
    file = tmp_path / "audit.jsonl"
    said = json.loads(run("--format", "jsonl", "--output", str(file), "--json"))
    assert said == {"file": str(file), "events": 2}
    assert len(file.read_text().splitlines()) == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["audit.jsonl"]


def test_the_command_takes_a_date_to_begin_with(operator: Actor) -> None:
    record(operator, "test", "something")
    assert run("--format", "jsonl", "--since", "2999-01-31") == ""
    assert len(run("--format", "jsonl", "--since", "2020-01-31T12:00").splitlines()) == 3


@pytest.mark.parametrize(
    "arguments", [("--since", "yesterday"), ("--json",), ("--output", "/nowhere/at/all/audit.csv")], ids=lambda words: words[0]
)
def test_the_command_refuses_what_it_cannot_do(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError) as refusal:
        run("--format", "csv", *arguments)
    assert refusal.value.returncode == 2
