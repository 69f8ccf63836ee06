"""`manage.py metrics push`: send the metrics of the account's alarms."""

from typing import Any

from control_plane.base.terminal import VerbCommand
from control_plane.operation.health.cloudwatch import NAMESPACE, push


class Command(VerbCommand):
    """Command for metrics; a timer runs it every five minutes."""

    help = "Put the site's figures to CloudWatch."

    def add_verbs(self) -> None:
        self.verb("push", self.push, f"Put the age of the backups, failures, disk and certificate to the namespace {NAMESPACE}.")

    def push(self, options: dict[str, Any]) -> None:
        measured = push()
        self.show(options, measured, "\n".join(f"{name} {value:g}" for name, value in measured.items()))
