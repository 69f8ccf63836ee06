"""`manage.py legacy`: the move from the predecessor.

Each verb has a module of its own, whose `add_arguments(subparsers)` adds it and sets its `run`, which is called with the
options; `options["command"]` is this command, for its output and its actor.
"""

from django.core.management.base import CommandParser

from control_plane.base.terminal import VerbCommand
from control_plane.neurocaas_import import adopt, importing


class Command(VerbCommand):
    """Command for the move from the predecessor."""

    help = "Import the predecessor's profiles, and adopt its live stacks."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.set_defaults(command=self)
        super().add_arguments(parser)

    def add_verbs(self) -> None:
        for module in (importing, adopt):
            module.add_arguments(self._verbs)
