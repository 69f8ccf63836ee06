from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The record of who did what."""

    name = "control_plane.audit"
    verbose_name = "Audit trail"
