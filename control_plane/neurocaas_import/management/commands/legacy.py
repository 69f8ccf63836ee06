"""`manage.py legacy`: what comes from the predecessor.

Each verb lies in a module of its own, whose `add_arguments(subparsers)` adds it and sets its `run`, which is called with the
options; `options["command"]` is this command, for what it prints and who typed it.
"""

from django.core.management.base import CommandParser

from control_plane.base.terminal import VerbCommand
from control_plane.neurocaas_import import adopt, importing


class Command(VerbCommand):
    """The move from the predecessor, from a terminal."""

    help = "Import the predecessor's profiles, and adopt its live stacks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.set_defaults(command=self)
        super().add_arguments(parser)

    def add_verbs(self) -> None:
        for module in (importing, adopt):
            module.add_arguments(self._verbs)
