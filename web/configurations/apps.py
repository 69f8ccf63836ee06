from django.apps import AppConfig


class ConfigurationsConfig(AppConfig):
    """App of the pages for a group's configurations of an analysis."""

    name = "web.configurations"
    verbose_name = "Configurations"
