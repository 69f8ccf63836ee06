from importlib import import_module

from django.apps import AppConfig


class GroupsConfig(AppConfig):
    """Groups, who is in them, and what they may use."""

    name = "control_plane.access.groups"
    verbose_name = "Groups"

    def ready(self) -> None:
        """Connect the receivers."""
        import_module("control_plane.access.groups.receivers")
