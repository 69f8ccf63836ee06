"""Schedule of reading the account's quotas: about hourly."""

from datetime import timedelta

from django.utils import timezone

from control_plane.access.limits.models import Reading
from control_plane.access.limits.tasks import read_quotas
from control_plane.base.aws import Place
from control_plane.base.config import config


def read_when_due() -> None:
    """Enqueue a reading if the last one is old enough. Only whoever changes the row enqueues: two workers never both do."""
    now, account = timezone.now(), Place.of_site().account
    due = now - timedelta(seconds=config().quota_read_seconds)
    reading, is_new = Reading.objects.get_or_create(account=account, defaults={"asked_at": now})
    if is_new or Reading.objects.filter(pk=reading.pk, asked_at__lte=due).update(asked_at=now):
        read_quotas.enqueue(account)
