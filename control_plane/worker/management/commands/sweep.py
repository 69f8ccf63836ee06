"""`manage.py sweep`: run once, now, the periodic steps that workers run each minute."""

from typing import Any

from django.core.management.base import BaseCommand

from control_plane.worker.sweep import sweep


class Command(BaseCommand):
    """Command that runs one sweep."""

    help = (
        "Look once for what was forgotten: runs whose worker has gone, stacks out of step, unsent notices, accounts to erase. "
        "Workers do so each minute; a timer does it where none lives."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        sweep()
        self.stdout.write("Swept.")
