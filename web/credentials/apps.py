from django.apps import AppConfig


class CredentialPagesConfig(AppConfig):
    """A member's own computer: short-lived credentials for it, the computers that are signed in, and the member's key."""

    name = "web.credentials"
    label = "credential_pages"
    verbose_name = "Credential pages"
