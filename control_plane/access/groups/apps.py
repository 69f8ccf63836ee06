from importlib import import_module

from django.apps import AppConfig


class GroupsConfig(AppConfig):
    """Groups, their members, and the analyses they may use."""

    name = "control_plane.access.groups"
    verbose_name = "Groups"

    def ready(self) -> None:
        """Connect the receivers."""
        import_module("control_plane.access.groups.receivers")
