from django.apps import AppConfig


class DoctorConfig(AppConfig):
    """Whether an account and a site are ready for each step of their operation."""

    name = "control_plane.doctor"
