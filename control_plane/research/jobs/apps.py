from django.apps import AppConfig


class JobsConfig(AppConfig):
    """App of jobs: submissions to analyses, and their results."""

    name = "control_plane.research.jobs"
    verbose_name = "Jobs"
