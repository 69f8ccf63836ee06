"""Making what a release leaves behind: a site in use, by the commands, pages and services of the release itself."""

import inspect
import json
import time
from pathlib import Path
from typing import Any

from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings as django_settings
from django.db.migrations.loader import MigrationLoader
from django_tasks.base import Task
from django_tasks_db.models import DBTaskResult

from tests.record.code import all_tasks
from tests.record.commands import run_story
from tests.record.running import Site, browser, fresh_site, make_pristine, settings
from tests.record.stories import ADMINISTRATOR, ANALYSIS, LAB, MANAGER, MEMBER, OTHER, person
from tests.releases.kept import Kept, version_here
from tests.releases.people import SECOND_FACTOR, UPLOAD, api, sign_in_computer

LATER = "later@example.org"


def make(folder: Path) -> None:
    """Write the backup, what is kept beside it, and the list of migrations into the release's folder."""
    with fresh_site(make_pristine()) as site:
        run_story(site)
        _leave_things_open(site)
        sessions = {email: _session_of(email) for email in (ADMINISTRATOR, MANAGER, MEMBER)}
        tokens = sign_in_computer(MEMBER)
        secret = generate_totp_secret()
        TOTP.activate(person(SECOND_FACTOR), secret)
        upload = _begin_an_upload()
        _leave_a_task_of_each_kind(site)
        rows = {each._meta.label: each._base_manager.count() for each in _models()}
        with settings(BACKUP_STORE=str(folder / "backup")):
            site.must("backup create")
    kept = Kept(
        version=version_here(),
        made_at=time.time(),
        secret_key=django_settings.SECRET_KEY,
        sessions=sessions,
        refresh_token=tokens["refresh_token"],
        access_token=tokens["access_token"],
        totp_secret=secret,
        upload=upload,
        rows={label: count for label, count in sorted(rows.items()) if count},
    )
    kept.write(folder)
    migrations = sorted(f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations)
    (folder / "migrations.json").write_text(json.dumps(migrations, indent=1) + "\n")


def _leave_things_open(site: Site) -> None:
    """Leave under way what a replaced release would: a request, a join code, a retirement that waits, a change asked for."""
    person(LATER)
    person("asks@example.org")
    browser("asks@example.org").post("/requests/ask/", {"new_group": "Franklin Lab"})
    site.must(f"member suspend {LAB} {MEMBER}")
    site.must(f"member resume {LAB} {MEMBER}")
    site.must(f"joincode create {LAB} --days 10")
    site.deploy()
    site.must(f"retire ask {OTHER} --confirm {OTHER}")
    site.must(f"member add {LAB} {LATER}")


def _session_of(email: str) -> str:
    client = browser(email)
    assert client.get("/").status_code == 200
    return str(client.cookies["sessionid"].value)


def _begin_an_upload() -> dict[str, Any]:
    [started] = api(browser(MEMBER), f"/api/uploads/{LAB}/{ANALYSIS}/start", UPLOAD)
    assert started["status"] == "send", started
    return {"id": started["id"], "key": started["key"], "upload_id": started["upload_id"], "part_size": started["part_size"]}


def _leave_a_task_of_each_kind(site: Site) -> None:
    """As a worker that stopped before them: each with the arguments that it was last given by the release's own code."""
    DBTaskResult.objects.all().delete()
    for path, task in all_tasks().items():
        args, kwargs = _given(site, path, task)
        task.enqueue(*args, **kwargs)


def _given(site: Site, path: str, task: Task[..., Any]) -> tuple[list[Any], dict[str, Any]]:
    if path in site.done:
        _, given = site.done[path]
        return given["args"], given["kwargs"]
    # The story never came to it: rows of these numbers, and the site's account.
    parameters = inspect.signature(task.func).parameters.values()
    return ["111122223333" if parameter.annotation is str else 1 for parameter in parameters], {}


def _models() -> list[Any]:
    from django.apps import apps

    return [each for each in apps.get_models() if each._meta.managed and not each._meta.proxy]
