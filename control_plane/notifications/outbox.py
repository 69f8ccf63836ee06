"""Who is told, and that each is told: a row per message, made with what it tells, tried until it is taken.

A worker that is killed loses no message: the sweep finds the row. Nor does it repeat one for ever: every try is counted
before it begins.
"""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import Case, F, Q, When
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.config import config
from control_plane.deployments.models import Deployment
from control_plane.notifications.channels import NotDelivered, send_email, send_webhook, webhook_host
from control_plane.notifications.messages import document, message
from control_plane.notifications.models import MOST_TRIES, Notice
from control_plane.notifications.tasks import deliver as deliver_later

MOST_RECIPIENTS = 50
# Wait after the first try; doubled after each further one, so that eight tries span about two hours.
FIRST_WAIT = timedelta(minutes=1)
# How long a task that is enqueued has before the sweep enqueues another.
TASK_WAIT = timedelta(minutes=2)
MOST_PER_SWEEP = 200

logger = logging.getLogger("cohort.notifications")


def announce(deployment: Deployment, event: str) -> None:
    """Have a deployment's end, or its wait for approval, told. `event` is a `Notice.Event`.

    Must be called within the transaction that records what is told. Calling it again for the same end adds nothing.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("announce needs the transaction that records what is told.")
    event = Notice.Event(event)
    wanted = [(Notice.Channel.EMAIL, address) for address in _addresses(deployment, event)]
    if host := webhook_host():
        wanted.append((Notice.Channel.WEBHOOK, host))
    for channel, recipient in wanted:
        notice, is_new = Notice.objects.get_or_create(
            deployment=deployment,
            event=event,
            generation=deployment.generation,
            channel=channel,
            recipient=recipient,
            defaults={"not_before": timezone.now() + TASK_WAIT},
        )
        if is_new:
            deliver_later.enqueue(notice.pk, 0)


def deliver_due() -> int:
    """Enqueue the next try of each notice that is late: after a failed try, or a worker's death. Returns how many.

    At most MOST_PER_SWEEP at a time. Several workers may sweep at once.
    """
    now = timezone.now()
    enqueued = 0
    for notice in Notice.objects.due(now)[:MOST_PER_SWEEP]:
        with transaction.atomic():
            # Whoever moves the date first enqueues it.
            if Notice.objects.due(now).filter(pk=notice.pk).update(not_before=now + TASK_WAIT):
                deliver_later.enqueue(notice.pk, notice.attempts)
                enqueued += 1
    return enqueued


def deliver(notice_id: int, tries: int) -> bool:
    """Make one try, unless it was made already or `tries` says that this one's turn is over. Returns whether it was taken."""
    # Counted, and the next one dated, before anything is sent: a worker killed from here on costs one repetition at most.
    claimed = Notice.objects.unsent().filter(pk=notice_id, attempts=tries, attempts__lt=MOST_TRIES)
    if not claimed.update(attempts=F("attempts") + 1, not_before=timezone.now() + FIRST_WAIT * 2**tries):
        return False
    notice = (
        Notice.objects.select_related("deployment__stack").prefetch_related("deployment__changes__actor_user").get(pk=notice_id)
    )
    try:
        _send(notice)
    except NotDelivered as refusal:
        Notice.objects.filter(pk=notice_id).update(last_error=str(refusal)[:400])
        outcome = "given up" if notice.attempts >= MOST_TRIES else "to be tried again"
        logger.warning("notice %d was not delivered (try %d, %s): %s", notice_id, notice.attempts, outcome, refusal)
        return False
    Notice.objects.filter(pk=notice_id).update(sent_at=timezone.now(), last_error="")
    return True


def _send(notice: Notice) -> None:
    match Notice.Channel(notice.channel):
        case Notice.Channel.EMAIL:
            text = message(notice)
            send_email(recipient=notice.recipient, subject=text.subject, body=text.body, message_id=notice.message_id)
        case Notice.Channel.WEBHOOK:
            send_webhook(document(notice))


def _addresses(deployment: Deployment, event: Notice.Event) -> list[str]:
    """Active people's addresses, those who asked first, then administrators."""
    changes = list(deployment.changes.values_list("actor_user_id", "actor"))
    asked = Q(pk__in={user for user, _ in changes if user})
    administrators = Q(is_staff=True, is_superuser=True)
    match event:
        case Notice.Event.APPROVAL:
            # As `approvals.may_decide`: nobody approves what they asked for.
            wanted = administrators & ~asked & ~Q(email__in={label for _, label in changes})
        case Notice.Event.FAILED:
            wanted = asked | administrators
        case Notice.Event.SUCCEEDED | Notice.Event.CANCELLED:
            if not config().notify_completion:
                return []
            wanted = asked
    people = User.objects.filter(wanted, is_active=True).order_by(Case(When(asked, then=0), default=1), "pk")
    return list(people.values_list("email", flat=True)[:MOST_RECIPIENTS])
