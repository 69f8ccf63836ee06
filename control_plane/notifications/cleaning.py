"""Nightly removal of messages that were delivered or given up long ago."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from control_plane.base.cleaning import register_cleanup, remove_in_steps
from control_plane.base.config import config
from control_plane.notifications.models import MAX_TRIES, Notice


@register_cleanup("old messages")
def remove_old_notices() -> int:
    """Remove old notices that were sent or given up. Returns their number."""
    before = timezone.now() - timedelta(days=config().cleanup_notice_days)
    ended = Q(sent_at__isnull=False) | Q(attempts__gte=MAX_TRIES)
    return remove_in_steps(Notice.objects.filter(ended, created_at__lt=before))


def remove_notices_to(address: str) -> None:
    """Remove the notices to a person who is removed. Account e-mails stay: their text is removed within a day anyway."""
    Notice.objects.filter(recipient=address).exclude(event=Notice.Event.ACCOUNT).delete()
