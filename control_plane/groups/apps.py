from django.apps import AppConfig


class GroupsConfig(AppConfig):
    """Groups, who is in them, and what they may use."""

    name = "control_plane.groups"
    verbose_name = "Groups"
