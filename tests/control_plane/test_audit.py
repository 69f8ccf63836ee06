"""The audit trail is only ever added to."""

import pytest

from control_plane.audit.actors import Actor
from control_plane.audit.models import AppendOnly, AuditEvent, record

pytestmark = pytest.mark.django_db


def test_a_row_cannot_be_changed_or_removed(operator: Actor) -> None:
    event = record(operator, "test", "something", before={"a": 1})
    event.action = "something else"
    with pytest.raises(AppendOnly):
        event.save()
    with pytest.raises(AppendOnly):
        event.delete()
    with pytest.raises(AppendOnly):
        AuditEvent.objects.update(action="other")
    with pytest.raises(AppendOnly):
        AuditEvent.objects.all().delete()
    assert AuditEvent.objects.get().action == "test"
