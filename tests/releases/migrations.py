"""What a migration after the first release may do: expand; and contract what an earlier release has stopped using."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.operations.base import Operation
from django.db.models.fields import NOT_PROVIDED

# The release before still serves its pages on the newest schema: these leave what it reads and writes as it is.
EXPANDS = (
    operations.CreateModel,
    operations.AddIndex,
    operations.RemoveIndex,
    operations.RenameIndex,
    operations.AlterModelManagers,
    operations.AlterModelOptions,
    operations.RunPython,
)
CONTRACTS = (operations.RemoveField, operations.DeleteModel, operations.RemoveConstraint)
# Of these the release before would find nothing under the names that it knows.
NEVER = (operations.RenameField, operations.RenameModel, operations.AlterModelTable, operations.AlterUniqueTogether)
ADVICE = (
    "Add what is new beside it, and take the old away in a release after the one that stops using it "
    "(docs/development/releases.md)."
)


def problems(migration: Migration, released: Iterable[str]) -> Iterator[str]:
    """Say what the migration does that the release before could not live with.

    A contract names, as `contract_of` on the migration, the release that stopped using what it takes away; it has to be one of
    `released`, so that it comes at least one release later.
    """
    for operation in migration.operations:
        what = f"{migration.app_label}.{migration.name}: {operation.describe()}"
        if isinstance(operation, operations.SeparateDatabaseAndState):
            inner = Migration(migration.name, migration.app_label)
            inner.operations = list(operation.database_operations)
            yield from problems(inner, released)
        elif isinstance(operation, NEVER):
            yield f"{what}. It renames. {ADVICE}"
        elif isinstance(operation, CONTRACTS):
            if (since := getattr(migration, "contract_of", "")) not in released:
                yield f"{what}. It takes away what {since or 'no release that is named'} stopped using. {ADVICE}"
        elif reason := _reason(operation):
            yield f"{what}. {reason} {ADVICE}"


def _reason(operation: Operation) -> str:
    if isinstance(operation, EXPANDS):
        return ""
    if isinstance(operation, operations.AddField):
        return _of_new_field(operation.field)
    if isinstance(operation, operations.AlterField):
        # Django writes one for a changed text too; what changes in the table is seen by hand, and said.
        return "" if getattr(operation.field, "null", False) else "It may rewrite the table, or refuse rows of the release before."
    if isinstance(operation, operations.AddConstraint):
        return "It may refuse rows that the release before writes."
    return "It is none of the operations that are known to expand."


def _of_new_field(field: models.Field[Any, Any]) -> str:
    if field.null or field.many_to_many or field.db_default is not NOT_PROVIDED:
        return ""
    return "The release before inserts rows without this column: let it be null, or give it a db_default."
