from django.apps import AppConfig


class GroupPagesConfig(AppConfig):
    """App of a person's home page, and of the pages of their groups."""

    name = "web.groups"
    label = "group_pages"
