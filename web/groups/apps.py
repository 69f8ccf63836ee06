from django.apps import AppConfig


class GroupPagesConfig(AppConfig):
    """A person's own page, and the page of each of their groups."""

    name = "web.groups"
    label = "group_pages"
