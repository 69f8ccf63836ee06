"""The audit trail's table: action, actor, time and address. Rows are only ever added."""

from typing import Any

from django.conf import settings
from django.db import models

from control_plane.base.audit.actors import Actor


class AppendOnly(TypeError):
    """An attempt to change or remove a row of the audit trail."""


# A refusal to a signed-in person: the one action whose rows have a count.
REFUSED = "access.refused"


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Audit events for reading; the only change is to count a repeated refusal."""

    def count_again(self) -> int:
        """Increment the counts of these refusals, which the database's triggers allow. Returns the number of rows."""
        return models.QuerySet.update(self.filter(action=REFUSED).order_by(), count=models.F("count") + 1)

    def update(self, **kwargs: Any) -> int:
        raise AppendOnly("The audit trail cannot be changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnly("The audit trail cannot be removed.")


class AuditEvent(models.Model):
    """One deed. `target` names what it was done to; `details` holds the values before and after, never a secret.

    A row of refusals stands for those to one person, from one network address, at one URL, in one hour; `details` are the first's.
    """

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor_user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor = models.CharField(max_length=320)
    channel = models.CharField(max_length=16)
    address = models.GenericIPAddressField(null=True)
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=400)
    details = models.JSONField(default=dict)
    count = models.PositiveIntegerField(
        "times",
        default=1,
        db_default=1,
        help_text="How often within the hour: refusals are counted, all else is a row of its own.",
    )

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        # For the list's filter by action, and for one person's recent refusals.
        indexes = (models.Index(fields=("action", "actor_user", "at"), name="audit_action_actor_at"),)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor} {self.action} {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("The audit trail cannot be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnly("The audit trail cannot be removed.")


def record(actor: Actor, action: str, target: str, **details: Any) -> AuditEvent:
    """Add a row, in the transaction of the action itself, so that neither is there without the other."""
    return AuditEvent.objects.create(
        actor_user=actor.user,
        actor=actor.label,
        channel=actor.channel,
        address=actor.address,
        action=action,
        target=target,
        details=details,
    )
