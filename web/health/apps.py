from django.apps import AppConfig


class HealthPagesConfig(AppConfig):
    """How the site fares: the health page, `/healthz`, `/readyz` and `/metrics`."""

    name = "web.health"
    label = "health_pages"
