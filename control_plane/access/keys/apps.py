from importlib import import_module

from django.apps import AppConfig


class KeysConfig(AppConfig):
    """Members' access keys as AWS knows them: how old, last used when, and which may go."""

    name = "control_plane.access.keys"

    def ready(self) -> None:
        """Connect the receivers."""
        import_module("control_plane.access.keys.receivers")
