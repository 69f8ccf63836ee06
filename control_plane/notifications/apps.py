from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """The app of the outbox: e-mails to people, webhook calls to other systems."""

    name = "control_plane.notifications"
    verbose_name = "Notifications"
