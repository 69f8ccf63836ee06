from importlib import import_module

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    """App of the catalogue: analyses, their descriptions, and requests for access to them."""

    name = "control_plane.research.catalogue"
    verbose_name = "Catalogue"

    def ready(self) -> None:
        """Connect the receivers."""
        import_module("control_plane.research.catalogue.receivers")
