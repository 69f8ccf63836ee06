"""Schema of a database that is there, compared with the one that its own migrations describe."""

from django.apps import apps
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model

ADVICE = (
    "Nothing was changed. Install the version that made it, or begin with a new database: another folder (`make up VAR_DIR=var2`), "
    "or an empty one in DATABASE_URL."
)


class ForeignSchema(Exception):
    """The database was made by another version, from which no migration leads here. The message says what to do."""


def require_known_schema(connection: BaseDatabaseWrapper) -> None:
    """Refuse a database whose tables are not as its applied migrations describe them. An empty one is accepted.

    Such a database is one from before the first release, whose migrations were written anew, or one of a newer release.
    Raises ForeignSchema.
    """
    try:
        loader, ours = MigrationLoader(connection), _labels()
        unknown = sorted(".".join(key) for key in loader.applied_migrations if key[0] in ours and key not in loader.disk_migrations)
        if unknown:
            difference = f"it has the migration {unknown[0]}, which this one does not"
        else:
            difference = _difference(connection, loader, ours)
    except DatabaseError as error:
        raise ForeignSchema(
            f"The database was made by another version or program: it cannot be read ({error}). {ADVICE}"
        ) from error
    if difference:
        raise ForeignSchema(f"The database was made by another version: {difference}. {ADVICE}")


def _labels() -> set[str]:
    return {config.label for config in apps.get_app_configs() if config.name.startswith(("control_plane.", "web."))}


def _difference(connection: BaseDatabaseWrapper, loader: MigrationLoader, ours: set[str]) -> str:
    """Return the first table of our apps that is not as described, in words; empty if all are."""
    applied = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    if not applied:
        return ""
    models = loader.project_state(applied).apps.get_models(include_auto_created=True)
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for model in models:
            table = model._meta.db_table
            if model._meta.app_label not in ours or not model._meta.managed:
                continue
            if table not in tables:
                return f"it has no table {table}"
            held = {column.name for column in connection.introspection.get_table_description(cursor, table)}
            if differing := sorted(held ^ _columns(model)):
                return f"its table {table} differs in {', '.join(differing)}"
    return ""


def _columns(model: type[Model]) -> set[str]:
    return {field.column for field in model._meta.local_concrete_fields if field.column}
