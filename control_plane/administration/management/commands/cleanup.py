"""`manage.py cleanup`: remove what nobody needs any more; a timer runs it at 04:05."""

import json
import logging
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils.module_loading import autodiscover_modules

from control_plane.accounts.services import cleaning as _accounts  # noqa: F401 (its parts are marked as it is imported)
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.cleaning import registered_cleanups

logger = logging.getLogger("cohort.cleanup")


class Command(BaseCommand):
    """The nightly clean-up."""

    help = "Remove old messages, tasks and log lines, ended uploads and sign-ins, and sign-ups that were never verified."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON instead of text.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do each part, whatever becomes of the others."""
        autodiscover_modules("cleaning")
        removed: dict[str, int] = {}
        failed = []
        for what, clean in sorted(registered_cleanups().items()):
            try:
                removed[what] = clean()
            except DatabaseError:
                logger.exception("%s could not be removed", what)
                failed.append(what)
        if any(removed.values()):
            record(Actor.at_terminal(), "site.cleanup", "site", removed=removed)
        text = "\n".join(f"{what}: {many} removed" for what, many in removed.items())
        self.stdout.write(json.dumps(removed) if options["json"] else text)
        if failed:
            raise CommandError(f"{', '.join(failed)} could not be removed; the log says why. The others were.")
