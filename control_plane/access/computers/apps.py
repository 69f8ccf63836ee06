from django.apps import AppConfig


class ComputersConfig(AppConfig):
    """Members' own computers, and a record of the keys shown to their holders."""

    name = "control_plane.access.computers"
    # Tables and migrations use this label.
    label = "credentials"
