from django.apps import AppConfig


class JobsConfig(AppConfig):
    """What was submitted to analyses, and what came of it."""

    name = "control_plane.research.jobs"
    verbose_name = "Jobs"
