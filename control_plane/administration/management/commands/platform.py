"""`manage.py platform sync`: have the shared stack agree with the settings."""

from typing import Any

from control_plane.groups.services.platform import platform_stack, sync_platform
from control_plane.terminal import VerbCommand


class Command(VerbCommand):
    """The platform from a terminal."""

    help = "Deploy what all groups share: the analysis buckets and the boundary."

    def add_verbs(self) -> None:
        self.verb("sync", self.sync, "Deploy the platform if the settings or the analyses changed.", deploys=True)

    def sync(self, options: dict[str, Any]) -> None:
        deployment = sync_platform(actor=self.actor)
        stack = platform_stack()
        if deployment is not None:
            self.follow(options, deployment, {"stack": stack.name}, "The platform is being deployed.")
            return
        self.show(options, {"stack": stack.name, "deployment": None}, "The platform is as it should be.")
