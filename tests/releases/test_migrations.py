"""Since the first release, migrations are only added, and expand before they contract."""

import json
from typing import Any

import pytest
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader

from tests.releases.kept import releases
from tests.releases.migrations import problems

NAMES = [folder.name.removeprefix("release-") for folder in releases()]


def of(*operations: Any, **attributes: Any) -> Migration:
    """A migration with these operations."""
    migration = Migration("0002_later", "groups")
    migration.operations = list(operations)
    for name, value in attributes.items():
        setattr(migration, name, value)
    return migration


@pytest.mark.parametrize(
    "operation",
    [
        operations.RenameField("group", "slug", "short_name"),
        operations.RenameModel("Group", "Lab"),
        operations.AlterModelTable("group", "labs"),
        operations.RemoveField("group", "name"),
        operations.DeleteModel("Group"),
        operations.AddField("group", "cost_centre", models.CharField(max_length=9, default="")),
        operations.AlterField("group", "name", models.CharField(max_length=9)),
        operations.AddConstraint("group", models.UniqueConstraint(fields=["name"], name="one_name")),
        operations.RunSQL("UPDATE groups_group SET name = ''"),
        operations.SeparateDatabaseAndState(database_operations=[operations.RemoveField("group", "name")]),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_the_release_before_could_not_live_with_is_refused(operation: Any) -> None:
    [problem] = problems(of(operation), ["1.0.0"])
    assert "groups.0002_later" in problem
    assert "docs/development/releases.md" in problem


@pytest.mark.parametrize(
    "operation",
    [
        operations.CreateModel("Budget", [("id", models.BigAutoField(primary_key=True))]),
        operations.AddField("group", "cost_centre", models.CharField(max_length=9, null=True)),
        operations.AddField("group", "cost_centre", models.CharField(max_length=9, db_default="")),
        operations.AddIndex("group", models.Index(fields=["name"], name="by_name")),
        operations.RunPython(operations.RunPython.noop),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_what_expands_is_taken(operation: Any) -> None:
    assert list(problems(of(operation), ["1.0.0"])) == []


def test_what_a_release_has_stopped_using_is_taken_away_after_it() -> None:
    takes_away = operations.RemoveField("group", "name")
    assert list(problems(of(takes_away, contract_of="1.1.0"), ["1.0.0", "1.1.0"])) == []
    assert len(list(problems(of(takes_away, contract_of="1.2.0"), ["1.0.0", "1.1.0"]))) == 1


@pytest.mark.parametrize("folder", releases(), ids=lambda folder: folder.name)
def test_migrations_of_a_release_stay(folder: Any) -> None:
    here = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    assert set(json.loads((folder / "migrations.json").read_text())) <= here


def test_migrations_since_the_first_release_expand_before_they_contract() -> None:
    if not releases():
        pytest.skip("There is no release yet.")
    first = set(json.loads((releases()[0] / "migrations.json").read_text()))
    ours = ("control_plane.", "web.")
    newer = [
        migration
        for (app, name), migration in MigrationLoader(None).disk_migrations.items()
        if f"{app}.{name}" not in first and type(migration).__module__.startswith(ours)
    ]
    assert [problem for migration in newer for problem in problems(migration, NAMES)] == []
