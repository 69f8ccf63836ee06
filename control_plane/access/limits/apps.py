from importlib import import_module

from django.apps import AppConfig


class LimitsConfig(AppConfig):
    """Use of the AWS account's limits, and the refusal of changes that would exceed one."""

    name = "control_plane.access.limits"
    # As its tables are called.
    label = "quotas"

    def ready(self) -> None:
        """Connect the receivers."""
        import_module("control_plane.access.limits.receivers")
