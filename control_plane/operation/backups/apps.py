from django.apps import AppConfig


class BackupsConfig(AppConfig):
    """Copies of the database, made while it is in use, kept elsewhere, and brought back."""

    name = "control_plane.operation.backups"
