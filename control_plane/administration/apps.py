from django.apps import AppConfig


class AdministrationConfig(AppConfig):
    """The administration's pages. They call services and decide nothing themselves."""

    name = "control_plane.administration"
    verbose_name = "Administration"
