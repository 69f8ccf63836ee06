from importlib import import_module

from django.apps import AppConfig


class KeysConfig(AppConfig):
    """Members' access keys on AWS: age, last use, and keys that are about to end."""

    name = "control_plane.access.keys"

    def ready(self) -> None:
        """Connect the receivers."""
        import_module("control_plane.access.keys.receivers")
