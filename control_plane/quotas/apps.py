from importlib import import_module

from django.apps import AppConfig


class QuotasConfig(AppConfig):
    """What the AWS account uses of its limits, and what is refused before it would pass one."""

    name = "control_plane.quotas"

    def ready(self) -> None:
        """Connect the receivers."""
        import_module("control_plane.quotas.receivers")
