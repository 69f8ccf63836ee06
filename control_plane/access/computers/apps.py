from django.apps import AppConfig


class ComputersConfig(AppConfig):
    """Members' own computers, and which keys were shown to their holders."""

    name = "control_plane.access.computers"
    # As tables and migrations have it.
    label = "credentials"
