from django.apps import AppConfig


class UploadsConfig(AppConfig):
    """App of uploads: files sent from the browser straight to S3, and their progress."""

    name = "control_plane.research.uploads"
