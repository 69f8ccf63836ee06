"""The outbox's writers: each message is a row, made in the transaction of its event, whose delivery is enqueued.

A worker that is killed loses no message, since the sweep finds the row, and repeats none for ever, since every attempt is counted
before it begins. The outbox knows nothing of the events.
"""

import json
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from control_plane.base.claims import claim_due
from control_plane.notifications.account_mail import expire_unsent, seal
from control_plane.notifications.channels import webhook_host
from control_plane.notifications.messages import Letter
from control_plane.notifications.models import Notice, fresh_key
from control_plane.notifications.tasks import TASK_WAIT, deliver

# Of one event, where nothing else limits them, and of deliveries that are enqueued at once.
MAX_RECIPIENTS = 50
MAX_PER_SWEEP = 200


def put_emails(*, event: Notice.Event, key: str, recipients: Iterable[str], letter: Letter) -> None:
    """Put an e-mail to each of these addresses into the outbox, except to those that got one with this `key` already.

    Call it in the transaction that records the event. For more than MAX_RECIPIENTS the sweep enqueues the deliveries, so that the
    transaction stays short.
    """
    addresses = list(recipients)
    if len(addresses) <= MAX_RECIPIENTS:
        for address in addresses:
            _put(event=event, key=key, channel=Notice.Channel.EMAIL, recipient=address, **letter.fields())
        return
    email = {"event": event, "key": key, "channel": Notice.Channel.EMAIL, **letter.fields()}
    Notice.objects.bulk_create((Notice(**email, recipient=address) for address in addresses), ignore_conflicts=True)


def put_webhook(*, event: Notice.Event, key: str, document_type: str, data: dict[str, Any]) -> None:
    """Put a document for WEBHOOK_URL into the outbox, unless it got one with this `key` already. Does nothing if it is not set.

    `data` is posted as it is now; id and time are added when it is sent. Call it in the transaction that records the event.
    """
    if host := webhook_host():
        document = json.dumps({"type": document_type, "data": data}, ensure_ascii=False)
        _put(event=event, key=key, channel=Notice.Channel.WEBHOOK, recipient=host, document=document)


def put_account_mail(*, recipient: str, subject: str, body: str) -> Notice:
    """Put an encrypted e-mail about an account into the outbox.

    It is sent within a second or two of the end of the transaction.
    """
    about = {"event": Notice.Event.ACCOUNT, "key": fresh_key(), "sealed": seal(subject, body)}
    return _put(**about, channel=Notice.Channel.EMAIL, recipient=recipient)


def deliver_due() -> int:
    """Enqueue the next attempt of each due notice: after a failed attempt, or a worker's death. Returns their number.

    At most MAX_PER_SWEEP at a time. Several workers may sweep at once.
    """
    now = timezone.now()
    expire_unsent(now)
    due, until = Notice.objects.due(now), now + TASK_WAIT
    return claim_due(due, "not_before", deliver.enqueue, fields=("attempts",), limit=MAX_PER_SWEEP, until=until)


def _put(*, key: str, channel: Notice.Channel, recipient: str, **content: Any) -> Notice:
    """Put a notice into the outbox, unless the same is there already."""
    with transaction.atomic():
        notice, is_new = Notice.objects.get_or_create(
            key=key, channel=channel, recipient=recipient, defaults={"not_before": timezone.now() + TASK_WAIT, **content}
        )
        if is_new:
            deliver.enqueue(notice.pk, 0)
    return notice
