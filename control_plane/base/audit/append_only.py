"""Database triggers that refuse to change or remove a row of the audit trail, also to somebody who uses SQL directly.

Two changes are allowed: clearing which account acted (`actor_user`), which the database does when a person is deleted
(their address stays in `actor`), and counting a refusal that is repeated within the hour (`count`), upwards only and for that
action alone. Whoever owns the tables can drop the triggers, so a site that must prove more exports the trail to a place where
they have no access.

On SQLite, Django alters a table by recreating it without its triggers: a later migration that does so runs `operation()` again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import RunPython
from django.db.migrations.state import StateApps

TABLE = "audit_auditevent"
ACTOR_USER_COLUMN = "actor_user_id"
COUNT_COLUMN, COUNTED_ACTION = "count", "access.refused"
REFUSAL = "The audit trail is only ever added to. Nothing was changed."

# `to_jsonb` compares all the columns, those of later versions too.
POSTGRESQL = f"""
CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.{ACTOR_USER_COLUMN} IS NULL AND to_jsonb(OLD) - '{ACTOR_USER_COLUMN}' = to_jsonb(NEW) - '{ACTOR_USER_COLUMN}' THEN
            RETURN NEW;
        END IF;
        IF OLD.action = '{COUNTED_ACTION}' AND NEW.{COUNT_COLUMN} > OLD.{COUNT_COLUMN}
            AND to_jsonb(OLD) - '{COUNT_COLUMN}' = to_jsonb(NEW) - '{COUNT_COLUMN}' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION audit_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON {TABLE} FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only();
"""
POSTGRESQL_DROP = f"""
DROP TRIGGER IF EXISTS audit_append_only ON {TABLE};
DROP TRIGGER IF EXISTS audit_no_truncate ON {TABLE};
"""
SQLITE_TRIGGERS = ("audit_no_update", "audit_no_delete", "audit_no_replace")


def operation() -> RunPython:
    """Return the migration operation that installs the triggers."""
    return RunPython(_forwards, _backwards)


@contextmanager
def without_triggers(database: BaseDatabaseWrapper) -> Iterator[None]:
    """Drop the triggers within the block: for tests alone, which empty every table."""
    drop(database)
    try:
        yield
    finally:
        install(database)


def install(database: BaseDatabaseWrapper) -> None:
    """Create the triggers."""
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute(POSTGRESQL)
        elif database.vendor == "sqlite":
            columns = [column.name for column in database.introspection.get_table_description(cursor, TABLE)]
            for statement in _sqlite_triggers(columns):
                cursor.execute(statement)


def drop(database: BaseDatabaseWrapper) -> None:
    """Remove the triggers."""
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute(POSTGRESQL_DROP)
        elif database.vendor == "sqlite":
            for name in SQLITE_TRIGGERS:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")


def _sqlite_triggers(columns: list[str]) -> Iterator[str]:
    def kept(but: str) -> str:
        return " AND ".join(f'OLD."{column}" IS NEW."{column}"' for column in columns if column != but)

    forgets = f"NEW.{ACTOR_USER_COLUMN} IS NULL AND {kept(ACTOR_USER_COLUMN)}"
    counts = f"OLD.action = '{COUNTED_ACTION}' AND NEW.{COUNT_COLUMN} > OLD.{COUNT_COLUMN} AND {kept(COUNT_COLUMN)}"
    refuse = f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    update, delete, replace = SQLITE_TRIGGERS
    yield f"CREATE TRIGGER {update} BEFORE UPDATE ON {TABLE} WHEN NOT ({forgets} OR {counts}) {refuse}"
    yield f"CREATE TRIGGER {delete} BEFORE DELETE ON {TABLE} {refuse}"
    # INSERT OR REPLACE removes the row that is in its way without asking the trigger above.
    exists = f"EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id)"  # noqa: S608
    yield f"CREATE TRIGGER {replace} BEFORE INSERT ON {TABLE} WHEN {exists} {refuse}"


def _forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    install(schema_editor.connection)


def _backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    drop(schema_editor.connection)
