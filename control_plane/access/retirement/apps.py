from importlib import import_module

from django.apps import AppConfig


class RetirementConfig(AppConfig):
    """Retirement of groups and analyses: requested, undone while there is time, carried out on AWS, kept as a record."""

    name = "control_plane.access.retirement"

    def ready(self) -> None:
        """Connect the receivers."""
        import_module("control_plane.access.retirement.receivers")
