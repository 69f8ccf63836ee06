"""Base class of the commands: verbs, JSON output, errors in one line. `deployments.terminal` has the one whose verbs deploy."""

import json
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, NoReturn

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused

EXIT_REFUSED = 2
EXIT_STILL_WAITING = 3
Verb = Callable[[dict[str, Any]], None]


class VerbCommand(BaseCommand):
    """A command with verbs (`manage.py group create ...`). A subclass adds its verbs with `verb`."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        self._verbs = parser.add_subparsers(dest="verb", required=True, metavar="verb")
        self.add_verbs()

    def add_verbs(self) -> None:
        """Declare the verbs."""
        raise NotImplementedError

    def verb(self, name: str, run: Verb, description: str) -> ArgumentParser:
        """Add a verb and return its parser."""
        parser = self._verbs.add_parser(name, help=description, description=description)
        parser.add_argument("--json", action="store_true", help="Print JSON instead of text.")
        parser.set_defaults(run=run)
        return parser

    @property
    def actor(self) -> Actor:
        """Actor at the terminal."""
        return Actor.at_terminal()

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            options["run"](options)
        except (Refused, PermissionDenied) as error:
            self.refuse(str(error), options)
        except ValidationError as error:
            self.refuse(f"{' '.join(error.messages)} Nothing was changed.", options)

    def refuse(self, message: str, options: dict[str, Any]) -> NoReturn:
        """End with exit status 2 and the message; with --json it is printed as `{"error": ...}` as well."""
        if options.get("json"):
            self.stdout.write(json.dumps({"error": message}))
        raise CommandError(message, returncode=EXIT_REFUSED)

    def show(self, options: dict[str, Any], document: Any, text: str) -> None:
        """Print the document as JSON, or the text."""
        self.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) if options["json"] else text)


def table(rows: list[list[str]], head: list[str]) -> str:
    """Return rows as text in columns, or a line that says there are none."""
    if not rows:
        return "None yet."
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    )
