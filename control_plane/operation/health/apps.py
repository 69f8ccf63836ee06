from django.apps import AppConfig


class HealthConfig(AppConfig):
    """Whether the site is well: for load balancers, for Prometheus, and for people."""

    name = "control_plane.operation.health"
