"""Schedule of reading the account's quotas: about hourly."""

from datetime import timedelta

from django.utils import timezone

from control_plane.access.limits.models import Reading
from control_plane.access.limits.tasks import read_limits
from control_plane.base.aws import Place
from control_plane.base.claims import claim_or_create
from control_plane.base.config import config


def read_limits_when_due() -> None:
    """Enqueue a reading if the last one is old enough. Only whoever changes the row enqueues: two workers never both do."""
    now, account = timezone.now(), Place.of_site().account
    due = Reading.objects.filter(asked_at__lte=now - timedelta(seconds=config().quota_read_seconds))
    if claim_or_create(due, "asked_at", lookup={"account": account}, until=now):
        read_limits.enqueue(account)
