from importlib import import_module

from django.apps import AppConfig


class LimitsConfig(AppConfig):
    """What the AWS account uses of its limits, and what is refused before it would pass one."""

    name = "control_plane.access.limits"
    # As its tables are called.
    label = "quotas"

    def ready(self) -> None:
        """Connect the receivers."""
        import_module("control_plane.access.limits.receivers")
