from django.apps import AppConfig


class ConfigurationsConfig(AppConfig):
    """The page where a group makes and keeps an analysis's configurations."""

    name = "web.configurations"
    verbose_name = "Configurations"
