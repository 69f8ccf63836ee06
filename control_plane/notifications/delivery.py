"""Delivering: one try of one message at a time, counted before it begins."""

import logging
from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from control_plane.notifications.account_mail import unsealed
from control_plane.notifications.channels import NotDelivered, send_email, send_webhook
from control_plane.notifications.messages import document, message
from control_plane.notifications.models import MAX_TRIES, Notice

# Wait after the first try; doubled after each further one, so that eight tries span about two hours.
FIRST_WAIT = timedelta(minutes=1)

logger = logging.getLogger("cohort.notifications")


def deliver(notice_id: int, tries: int) -> bool:
    """Make one try, unless it was made already or `tries` says that this one's turn is over. Returns whether it was taken."""
    # Counted, and the next one dated, before anything is sent: a worker killed from here on costs one repetition at most.
    claimed = Notice.objects.unsent().filter(pk=notice_id, attempts=tries, attempts__lt=MAX_TRIES)
    now = timezone.now()
    if not claimed.update(attempts=F("attempts") + 1, begun_at=now, not_before=now + FIRST_WAIT * 2**tries):
        return False
    notice = Notice.objects.get(pk=notice_id)
    try:
        _send(notice)
    except NotDelivered as refusal:
        Notice.objects.filter(pk=notice_id).update(last_error=str(refusal)[:400], failed_at=timezone.now())
        outcome = "given up" if notice.attempts >= MAX_TRIES else "to be tried again"
        logger.warning("notice %d was not delivered (try %d, %s): %s", notice_id, notice.attempts, outcome, refusal)
        return False
    Notice.objects.filter(pk=notice_id).update(sent_at=timezone.now(), last_error="", sealed="")
    return True


def _send(notice: Notice) -> None:
    match Notice.Channel(notice.channel):
        case Notice.Channel.EMAIL:
            text = unsealed(notice) if notice.event == Notice.Event.ACCOUNT else message(notice)
            send_email(recipient=notice.recipient, subject=text.subject, body=text.body, message_id=notice.message_id)
        case Notice.Channel.WEBHOOK:
            send_webhook(document(notice))
