from django.apps import AppConfig


class PeopleConfig(AppConfig):
    """People across all their groups. Has commands and no tables."""

    name = "control_plane.access.people"
    verbose_name = "People across groups"
