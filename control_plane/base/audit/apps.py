from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The record of who did what."""

    name = "control_plane.base.audit"
    verbose_name = "Audit trail"
