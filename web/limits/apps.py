from django.apps import AppConfig


class LimitsPagesConfig(AppConfig):
    """App of the page of the AWS account's limits and their use."""

    name = "web.limits"
    label = "limit_pages"
