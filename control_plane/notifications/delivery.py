"""Delivery: one attempt for one message at a time, counted before it begins."""

import logging
from datetime import timedelta
from typing import assert_never

from django.db.models import F
from django.utils import timezone

from control_plane.notifications.account_mail import unseal
from control_plane.notifications.channels import NotDelivered, send_email, send_webhook
from control_plane.notifications.messages import compose_email, webhook_document
from control_plane.notifications.models import MAX_TRIES, Notice

# Wait after the first attempt; doubled after each further one, so that eight attempts span about two hours.
FIRST_WAIT = timedelta(minutes=1)

logger = logging.getLogger("cohort.notifications")


def deliver(notice_id: int, tries: int) -> bool:
    """Make one attempt, unless the notice was sent or its attempts are not `tries` any more. Returns True if it was delivered."""
    # Counted, and the next one scheduled, before anything is sent: a worker killed from here on causes one repetition at most.
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
    channel = Notice.Channel(notice.channel)
    match channel:
        case Notice.Channel.EMAIL:
            text = unseal(notice) if notice.event == Notice.Event.ACCOUNT else compose_email(notice)
            send_email(recipient=notice.recipient, subject=text.subject, body=text.body, message_id=notice.message_id)
        case Notice.Channel.WEBHOOK:
            send_webhook(webhook_document(notice))
        case _:
            # A channel without its case would count as delivered. mypy refuses it.
            assert_never(channel)
