from django.apps import AppConfig


class WorkerConfig(AppConfig):
    """The process that deploys, carries out tasks and does what is due."""

    name = "control_plane.worker"
