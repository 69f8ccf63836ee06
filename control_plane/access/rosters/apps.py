from django.apps import AppConfig


class RostersConfig(AppConfig):
    """People and memberships as a CSV file: taken in after a dry run, and given out."""

    name = "control_plane.access.rosters"
    verbose_name = "Import and export"
