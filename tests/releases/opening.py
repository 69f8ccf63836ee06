"""Opening what a release left: its backup is restored, and everybody goes on where they were."""

import gzip
import inspect
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import override_settings
from django_tasks_db.models import DBTaskResult

from stacks.manifest import parse
from tests.record.running import PASSWORD, Site, fresh_site, make_pristine, model, settings
from tests.record.stories import ADMINISTRATOR, ANALYSIS, BUCKET, LAB, MANAGER, MEMBER
from tests.releases.kept import Kept
from tests.releases.people import CLIENT, SECOND_FACTOR, UPLOAD, api, program

PAGES = {
    MEMBER: ("/", f"/groups/{LAB}/", "/analyses/"),
    MANAGER: ("/", f"/groups/{LAB}/", "/requests/"),
    ADMINISTRATOR: (
        "/",
        f"/groups/{LAB}/",
        "/requests/",
        "/analyses/",
        "/deployments/",
        "/deployments/stacks/",
        "/health/",
        "/review/",
    ),
}
# What a restore adds to, or leaves out, on purpose: whoever was signed in signs in again, and the restore itself is on record.
CHANGED_BY_A_RESTORE = frozenset(
    {
        "accounts.Cache",
        "allauth_idp_oidc.Token",
        "audit.AuditEvent",
        "deployments.Worker",
        "django_tasks_database.DBTaskResult",
        "sessions.Session",
        "usersessions.UserSession",
    }
)
_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?")


def restore(release: Path, kept: Kept) -> list[str]:
    """Restore the release's backup with this code, which migrates it. Returns what is not as it was, one line each."""
    make_pristine()
    with tempfile.TemporaryDirectory() as folder, settings(BACKUP_STORE=str(release / "backup")):
        restored = Path(folder) / "restored.sqlite3"
        call_command("backup", "restore", "latest", "--to", str(restored), verbosity=0)
        with fresh_site(restored) as site:
            return [problem for step in (rows_are_there, manifests_are_read) for problem in _tried(step, site, kept)]


def migrate(release: Path) -> Path:
    """Bring the release's database to today's schema, as an upgrade does. Returns its file."""
    [packed] = (release / "backup").glob("*.sqlite3.gz")
    database = Path(tempfile.mkdtemp()) / "database.sqlite3"
    database.write_bytes(gzip.decompress(packed.read_bytes()))
    make_pristine()
    with fresh_site(database):
        call_command("migrate", verbosity=0)
        connection.close()
        shutil.copyfile(connection.settings_dict["NAME"], database)
    return database


def visit(database: Path, kept: Kept) -> list[str]:
    """Go on where people were, on this database. Returns what could not be opened, one line each."""
    moved = Path(tempfile.mkdtemp()) / "moved.sqlite3"
    moved.write_bytes(database.read_bytes())
    _move_dates(moved, timedelta(seconds=time.time() - kept.made_at))
    make_pristine()
    with override_settings(SECRET_KEY=kept.secret_key), fresh_site(moved) as site:
        return [problem for step in STEPS for problem in _tried(step, site, kept)]


def _tried(step: Callable[[Site, Kept], Iterator[str]], site: Site, kept: Kept) -> Iterator[str]:
    try:
        yield from (f"{step.__name__}: {problem}" for problem in step(site, kept))
    except Exception as error:
        yield f"{step.__name__}: {type(error).__name__}: {error}"


def rows_are_there(site: Site, kept: Kept) -> Iterator[str]:
    """Every row that the release had."""
    for label, count in kept.rows.items():
        if label not in CHANGED_BY_A_RESTORE and (here := model(label)._base_manager.count()) != count:
            yield f"{label} has {here} rows instead of {count}"


def manifests_are_read(site: Site, kept: Kept) -> Iterator[str]:
    """Every manifest that the release wrote, with the same meaning: written again, it is the same text."""
    for stored in model("deployments.StoredManifest").objects.all():
        if parse(stored.text).to_json() != stored.text:
            yield f"{stored} reads as something else"


def people_are_signed_in(site: Site, kept: Kept) -> Iterator[str]:
    """Whoever had the site open goes on without signing in again."""
    for email, pages in PAGES.items():
        client = Client()
        client.cookies["sessionid"] = kept.sessions[email]
        for page in pages:
            answer = client.get(page, follow=True)
            if answer.status_code != 200 or "/accounts/login/" in str(answer.redirect_chain):
                yield f"{email} gets {answer.status_code} {answer.redirect_chain} for {page}"


def computers_are_signed_in(site: Site, kept: Kept) -> Iterator[str]:
    """A member's computer renews its token, and gets credentials with it."""
    _make_roles()
    form = {"grant_type": "refresh_token", "refresh_token": kept.refresh_token, "client_id": CLIENT}
    for token in (kept.access_token, program("/identity/o/api/token", form)["access_token"]):
        answer = Client().post(f"/api/credentials/{LAB}", headers={"Authorization": f"Bearer {token}"})
        if answer.status_code != 200 or not answer.json()["SessionToken"]:
            yield f"{answer.status_code} {answer.content.decode()[:200]}"


def the_upload_goes_on(site: Site, kept: Kept) -> Iterator[str]:
    """The file whose upload was in flight is resumed with the parts that S3 holds, not sent anew."""
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket=BUCKET)
    begun = s3.create_multipart_upload(Bucket=BUCKET, Key=kept.upload["key"], ChecksumAlgorithm="CRC32")["UploadId"]
    model("uploads.Upload").objects.filter(pk=kept.upload["id"]).update(upload_id=begun)
    client = Client()
    client.cookies["sessionid"] = kept.sessions[MEMBER]
    [again] = api(client, f"/api/uploads/{LAB}/{ANALYSIS}/start", UPLOAD)
    if (again["id"], again["upload_id"], again["is_resumed"]) != (kept.upload["id"], begun, True):
        yield f"began anew: {again}"
    if again["part_size"] != kept.upload["part_size"]:
        yield f"parts of {again['part_size']} bytes do not fit those of {kept.upload['part_size']} that S3 holds"


def tasks_are_taken(site: Site, kept: Kept) -> Iterator[str]:
    """Each task that lay in the queue is known by its path, and takes the arguments that it was given."""
    waiting = list(DBTaskResult.objects.ready())
    if not waiting:
        yield "the queue is empty"
    for row in waiting:
        try:
            inspect.signature(row.task.func).bind(*row.args_kwargs["args"], **row.args_kwargs["kwargs"])
        except (ImportError, AttributeError, TypeError) as error:
            yield f"{row.task_path}: {error}"


def somebody_signs_in(site: Site, kept: Kept) -> Iterator[str]:
    """The password and the authenticator app of before open the site."""
    client = Client()
    login = {"login": SECOND_FACTOR, "password": PASSWORD}
    code = format_hotp_value(hotp_value(kept.totp_secret, int(time.time()) // 30))
    for path, form in (("/accounts/login/", login), ("/accounts/2fa/authenticate/", {"code": code})):
        answer = client.post(path, form)
        if answer.status_code != 302:
            yield f"{path}: {answer.status_code}"
    if client.get("/").status_code != 200:
        yield "is not signed in"


STEPS = (
    rows_are_there,
    manifests_are_read,
    tasks_are_taken,
    people_are_signed_in,
    somebody_signs_in,
    computers_are_signed_in,
    the_upload_goes_on,
)


def _make_roles() -> None:
    iam = boto3.client("iam", region_name="us-east-1")
    iam.create_role(RoleName=f"cohort-{LAB}", Path=f"/cohort/{LAB}/", AssumeRolePolicyDocument="{}")


def _move_dates(database: Path, by: timedelta) -> None:
    """Move what the database dates, but for the audit trail, which nobody may change."""
    with closing(sqlite3.connect(database)) as opened, opened:
        tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            if table.startswith(("audit_", "sqlite_")):
                continue
            for column in _dated(opened, table):
                rows = opened.execute(f'SELECT rowid, "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL').fetchall()  # noqa: S608
                moved = [(_moved(text, by), rowid) for rowid, text in rows if _STAMP.fullmatch(str(text))]
                opened.executemany(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', moved)  # noqa: S608


def _dated(opened: sqlite3.Connection, table: str) -> list[str]:
    described: list[tuple[Any, ...]] = opened.execute(f'PRAGMA table_info("{table}")').fetchall()
    return [column for _, column, kind, *_ in described if kind.lower() == "datetime"]


def _moved(text: str, by: timedelta) -> str:
    # The queue's "at once" is the last year that there is.
    return text if text.startswith("9999") else (datetime.fromisoformat(text) + by).strftime("%Y-%m-%d %H:%M:%S.%f")
