from django.apps import AppConfig


class DoctorConfig(AppConfig):
    """The app of the readiness checks before each step of operation."""

    name = "control_plane.doctor"
