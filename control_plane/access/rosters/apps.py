from django.apps import AppConfig


class RostersConfig(AppConfig):
    """Import of people and memberships from a CSV file, after a dry run, and their export."""

    name = "control_plane.access.rosters"
    verbose_name = "Import and export"
