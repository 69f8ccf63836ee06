from django.apps import AppConfig


class CredentialsConfig(AppConfig):
    """A member's own computer: short-lived credentials for it, the computers that are signed in, and the member's key."""

    name = "web.credentials"
