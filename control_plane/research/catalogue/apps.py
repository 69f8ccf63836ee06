from importlib import import_module

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    """What analyses there are, what each is for, and who asks to use which."""

    name = "control_plane.research.catalogue"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        """Connect the receivers."""
        import_module("control_plane.research.catalogue.receivers")
