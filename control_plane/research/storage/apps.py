from django.apps import AppConfig


class StorageConfig(AppConfig):
    """App of the group's folder in an analysis's bucket, and of the sessions that reach it. Has no tables."""

    name = "control_plane.research.storage"
