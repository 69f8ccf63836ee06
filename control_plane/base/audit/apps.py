from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The app of the audit trail."""

    name = "control_plane.base.audit"
    verbose_name = "Audit trail"
