from django.apps import AppConfig


class HomeConfig(AppConfig):
    """A person's own page, and the page of each of their groups."""

    name = "web.home"
