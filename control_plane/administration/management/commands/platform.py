"""`manage.py platform sync`: have the storage stacks agree with the settings."""

from typing import Any

from control_plane.groups.services.platform import sync_platform
from control_plane.terminal import VerbCommand


class Command(VerbCommand):
    """The platform from a terminal."""

    help = "Deploy what all groups share: the analysis buckets."

    def add_verbs(self) -> None:
        self.verb("sync", self.sync, "Deploy the platform if the settings or the analyses changed.", deploys=True)

    def sync(self, options: dict[str, Any]) -> None:
        deployments = sync_platform(actor=self.actor)
        text = "The platform is being deployed." if deployments else "The platform is as it should be."
        self.follow_all(options, deployments, {"stacks": [one.stack.name for one in deployments]}, text)
