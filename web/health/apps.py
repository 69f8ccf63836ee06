from django.apps import AppConfig


class HealthPagesConfig(AppConfig):
    """App of the health page, `/healthz`, `/readyz` and `/metrics`."""

    name = "web.health"
    label = "health_pages"
