from django.apps import AppConfig


class ReviewConfig(AppConfig):
    """Access review: access on AWS, compared with the database and signed off by the groups' managers."""

    name = "control_plane.access.review"
