"""How old the newest backup is. Pages ask the audit trail, which needs no right to the store; the alarm's metric asks the store."""

from datetime import datetime

from django.utils import timezone

from control_plane.base.audit.models import AuditEvent
from control_plane.operation.backups.documents import began
from control_plane.operation.backups.site import site_store


def recorded() -> datetime | None:
    """When the last backup began that this database knows of; None if it knows of none. One query."""
    events = AuditEvent.objects.filter(action__in=("backup.create", "backup.restore")).order_by("-id")
    details = events.values_list("details", flat=True).first()
    return datetime.fromisoformat(details["began_at"]) if details else None


def stored() -> datetime | None:
    """When the newest backup in the store began. Raises BackupsError."""
    names = site_store().names()
    return began(names[0]) if names else None


def seconds_since(moment: datetime | None) -> float:
    """Its age; infinite where there is none."""
    return max(0.0, (timezone.now() - moment).total_seconds()) if moment else float("inf")
