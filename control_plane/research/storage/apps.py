from django.apps import AppConfig


class StorageConfig(AppConfig):
    """A group's folder in an analysis's bucket, and the sessions that reach it. Has no tables."""

    name = "control_plane.research.storage"
