from django.apps import AppConfig


class UploadsConfig(AppConfig):
    """What researchers send from the browser straight to S3, and how far each file has come."""

    name = "control_plane.research.uploads"
