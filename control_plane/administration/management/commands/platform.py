"""`manage.py platform`: have the storage stacks agree with the settings, and every stack with a new release."""

from typing import Any

from control_plane.groups.services.platform import sync_platform
from control_plane.groups.services.renewal import renew_all
from control_plane.terminal import VerbCommand


class Command(VerbCommand):
    """The platform from a terminal."""

    help = "Deploy what all groups share: the analysis buckets."

    def add_verbs(self) -> None:
        self.verb("sync", self.sync, "Deploy the platform if the settings or the analyses changed.", deploys=True)
        self.verb("renew", self.renew, "After an upgrade: deploy every stack as the new release makes it.", deploys=True)

    def sync(self, options: dict[str, Any]) -> None:
        deployments = sync_platform(actor=self.actor)
        text = "The platform is being deployed." if deployments else "The platform is as it should be."
        self.follow_all(options, deployments, {"stacks": [one.stack.name for one in deployments]}, text)

    def renew(self, options: dict[str, Any]) -> None:
        deployments = renew_all(actor=self.actor)
        text = f"Stacks that are being deployed as this release makes them: {len(deployments)}."
        self.follow_all(options, deployments, {"stacks": [one.stack.name for one in deployments]}, text)
