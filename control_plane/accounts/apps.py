from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.core.management import call_command
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    """The app of people who can sign in."""

    name = "control_plane.accounts"
    verbose_name = "People"

    def ready(self) -> None:
        """Connect the receivers."""
        import_module("control_plane.accounts.recording").connect()
        post_migrate.connect(make_cache_table, sender=self)


def make_cache_table(using: str, **_: Any) -> None:
    """Create the table in which rate limits are counted, if it is missing."""
    call_command("createcachetable", database=using, verbosity=0)
