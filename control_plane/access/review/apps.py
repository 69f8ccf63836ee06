from django.apps import AppConfig


class ReviewConfig(AppConfig):
    """Who can reach what: as AWS holds it, compared with the database, and signed by the groups' managers."""

    name = "control_plane.access.review"
