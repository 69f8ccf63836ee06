"""`manage.py migrate`: Django's, which first refuses a database of another shape."""

from typing import Any

from django.core.management import CommandError
from django.core.management.commands import migrate
from django.db import connections

from control_plane.base.schema import ForeignSchema, require_known_schema


class Command(migrate.Command):
    """Django's command. It never starts on a database that no migration leads here from."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Compare the schema, before Django's own checks ask the database too; then migrate. Raises CommandError."""
        try:
            require_known_schema(connections[options["database"]])
        except ForeignSchema as error:
            raise CommandError(str(error)) from error
        return super().execute(*args, **options)
