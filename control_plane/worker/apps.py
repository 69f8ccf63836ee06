from django.apps import AppConfig


class WorkerConfig(AppConfig):
    """Worker app: the process that deploys, carries out tasks and runs periodic steps."""

    name = "control_plane.worker"
