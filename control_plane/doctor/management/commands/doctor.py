"""`manage.py doctor`: read-only checks of the account and the site, each with what to do."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from control_plane.doctor import command


class Command(BaseCommand):
    """The doctor as a Django command; `manage.py` itself calls it earlier, without Django's settings."""

    help = command.DESCRIPTION
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        command.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if status := command.run(step=options["step"], as_json=options["json"], out=self.stdout):
            sys.exit(status)
