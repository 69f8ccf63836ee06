from django.apps import AppConfig


class HealthConfig(AppConfig):
    """The app of the site's health: for load balancers, Prometheus, and people."""

    name = "control_plane.operation.health"
