from django.apps import AppConfig


class DeploymentsConfig(AppConfig):
    """Deployments app: stacks and the engine that makes AWS agree with the database."""

    name = "control_plane.deployments"
    verbose_name = "Deployments"
