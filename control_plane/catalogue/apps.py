from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    """What analyses there are, what each is for, and who asks to use which."""

    name = "control_plane.catalogue"
    verbose_name = "Catalogue"
