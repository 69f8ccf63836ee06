"""Age of the newest backup: for pages from the audit trail, which needs no permission for the store; for alarms from the store."""

from datetime import datetime

from django.utils import timezone

from control_plane.base.audit.models import AuditEvent
from control_plane.operation.backups.documents import started_at
from control_plane.operation.backups.site import site_store


def newest_recorded() -> datetime | None:
    """Return when the last backup recorded in this database began; None if there is none. One query."""
    events = AuditEvent.objects.filter(action__in=("backup.create", "backup.restore")).order_by("-id")
    details = events.values_list("details", flat=True).first()
    return datetime.fromisoformat(details["began_at"]) if details else None


def newest_stored() -> datetime | None:
    """Return when the newest backup in the store began; None if there is none. Raises BackupsError."""
    names = site_store().names()
    return started_at(names[0]) if names else None


def seconds_since(moment: datetime | None) -> float:
    """Return the seconds since the moment; infinity for None."""
    return max(0.0, (timezone.now() - moment).total_seconds()) if moment else float("inf")
