from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """Telling people and other systems how a deployment ended."""

    name = "control_plane.notifications"
    verbose_name = "Notifications"
