from django.apps import AppConfig


class LimitsPagesConfig(AppConfig):
    """What the AWS account uses of its limits."""

    name = "web.limits"
    label = "limit_pages"
