"""Removal of old rosters: uploaded files that were not applied, and results of those that were."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from control_plane.access.rosters.models import Roster
from control_plane.base.cleaning import register_cleanup, remove_in_steps

# They hold addresses, and the audit trail records what was done.
KEPT_UNAPPLIED = timedelta(days=2)
KEPT_APPLIED = timedelta(days=30)


@register_cleanup("rosters")
def remove_old_rosters() -> int:
    """Remove rosters that are past their retention. Returns how many."""
    now = timezone.now()
    unapplied = Q(state=Roster.State.CHECKED, created_at__lt=now - KEPT_UNAPPLIED)
    applied = Q(state=Roster.State.APPLIED, created_at__lt=now - KEPT_APPLIED)
    return remove_in_steps(Roster.objects.filter(unapplied | applied))
