"""The outbox: a row for each message, made with what it tells, whose delivery is enqueued. It knows nothing of what is told.

A worker that is killed loses no message: the sweep finds the row. Nor does it repeat one for ever: every try is counted
before it begins.
"""

import json
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from control_plane.base.claims import claim_due
from control_plane.notifications.account_mail import forget_unsent, sealed
from control_plane.notifications.channels import webhook_host
from control_plane.notifications.messages import Letter
from control_plane.notifications.models import Notice, fresh_key
from control_plane.notifications.tasks import TASK_WAIT, deliver

# Of those who are told of one event, where nothing else limits them; and of those whose e-mails are enqueued at once.
MAX_RECIPIENTS = 50
MAX_PER_SWEEP = 200


def put_emails(*, event: Notice.Event, key: str, recipients: Iterable[str], letter: Letter) -> None:
    """Put the same e-mail to each of these addresses into the outbox, but for those who were told `key` already.

    In the transaction that records what is told. Of more than MAX_RECIPIENTS the sweep begins the delivery: the record must not
    wait for it.
    """
    addresses = list(recipients)
    if len(addresses) <= MAX_RECIPIENTS:
        for address in addresses:
            _put(event=event, key=key, channel=Notice.Channel.EMAIL, recipient=address, **letter.fields())
        return
    email = {"event": event, "key": key, "channel": Notice.Channel.EMAIL, **letter.fields()}
    Notice.objects.bulk_create((Notice(**email, recipient=address) for address in addresses), ignore_conflicts=True)


def put_webhook(*, event: Notice.Event, key: str, document_type: str, data: dict[str, Any]) -> None:
    """Put a document for WEBHOOK_URL into the outbox, unless `key` was told there already. Nothing where none is set.

    `data` is posted as it is now; the document's id and time are added as it is sent. In the transaction that records what is told.
    """
    if host := webhook_host():
        document = json.dumps({"type": document_type, "data": data}, ensure_ascii=False)
        _put(event=event, key=key, channel=Notice.Channel.WEBHOOK, recipient=host, document=document)


def put_account_mail(*, recipient: str, subject: str, body: str) -> Notice:
    """Put an e-mail about an account into the outbox, sealed.

    It goes out once the transaction that it is put in has ended, within a second or two.
    """
    about = {"event": Notice.Event.ACCOUNT, "key": fresh_key(), "sealed": sealed(subject, body)}
    return _put(**about, channel=Notice.Channel.EMAIL, recipient=recipient)


def deliver_due() -> int:
    """Enqueue the next try of each notice that is late: after a failed try, or a worker's death. Returns how many.

    At most MAX_PER_SWEEP at a time. Several workers may sweep at once.
    """
    now = timezone.now()
    forget_unsent(now)
    due, until = Notice.objects.due(now), now + TASK_WAIT
    return claim_due(due, "not_before", deliver.enqueue, fields=("attempts",), limit=MAX_PER_SWEEP, until=until)


def _put(*, key: str, channel: Notice.Channel, recipient: str, **content: Any) -> Notice:
    """Put one notice into the outbox, unless the same is there already."""
    with transaction.atomic():
        notice, is_new = Notice.objects.get_or_create(
            key=key, channel=channel, recipient=recipient, defaults={"not_before": timezone.now() + TASK_WAIT, **content}
        )
        if is_new:
            deliver.enqueue(notice.pk, 0)
    return notice
