from django.apps import AppConfig


class CredentialPagesConfig(AppConfig):
    """App of a member's own computers: short-lived credentials, signed-in computers, and the member's key."""

    name = "web.credentials"
    label = "credential_pages"
    verbose_name = "Credential pages"
