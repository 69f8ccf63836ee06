from django.apps import AppConfig


class BackupsConfig(AppConfig):
    """The app of the database's backups."""

    name = "control_plane.operation.backups"
