"""Who is told, and that each is told: a row per message, made with what it tells, tried until it is taken.

A worker that is killed loses no message: the sweep finds the row. Nor does it repeat one for ever: every try is counted
before it begins.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Case, F, Q, When
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.config import config
from control_plane.deployments.models import Deployment
from control_plane.notifications.account_mail import forget_unsent, unsealed
from control_plane.notifications.channels import NotDelivered, send_email, send_webhook, webhook_host
from control_plane.notifications.messages import document, message
from control_plane.notifications.models import MOST_TRIES, Notice
from control_plane.notifications.tasks import TASK_WAIT
from control_plane.notifications.tasks import deliver as deliver_later

if TYPE_CHECKING:
    from control_plane.groups.models import Group, JoinRequest

MOST_RECIPIENTS = 50
# Wait after the first try; doubled after each further one, so that eight tries span about two hours.
FIRST_WAIT = timedelta(minutes=1)
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
        _put(deployment=deployment, event=event, generation=deployment.generation, channel=channel, recipient=recipient)


def announce_access(deployment: Deployment, *, brought: int) -> None:
    """Tell those whose access to a group began or ended, now that AWS was seen to hold generation `brought` of its stack.

    Must be called within the transaction that records that. Who asked for it is told by `announce` already.
    """
    told = set(_addresses(deployment, Notice.Event.SUCCEEDED))
    # By way of relations: a group is no business of a deployment, and a platform's stack has none.
    place = Q(memberships__group__stack=deployment.stack_id)
    since, until = deployment.from_generation, brought
    begun = place & Q(memberships__added_generation__gt=since, memberships__added_generation__lte=until)
    ended = place & Q(memberships__removed_generation__gt=since, memberships__removed_generation__lte=until)
    # Who came and went again before AWS heard of it had nothing, and who left and came back has it still.
    given = begun & Q(memberships__removed_generation__isnull=True)
    had = ended & Q(memberships__added_generation__lte=since)
    still = User.objects.filter(place, memberships__removed_generation__isnull=True)
    for event, people in (
        (Notice.Event.ACCESS_GIVEN, User.objects.filter(given, is_active=True)),
        (Notice.Event.ACCESS_ENDED, User.objects.filter(had, is_active=True).exclude(pk__in=still.values("pk"))),
    ):
        addresses = people.order_by("pk").values_list("email", flat=True).distinct()
        _put_each(deployment, event, brought, [address for address in addresses if address not in told])


def announce_request(join_request: "JoinRequest", event: Notice.Event, recipients: Iterable[str]) -> None:
    """Tell these addresses, MOST_RECIPIENTS at most, what became of a request to join. In the transaction that records it."""
    for address in list(recipients)[:MOST_RECIPIENTS]:
        _put(join_request=join_request, event=event, channel=Notice.Channel.EMAIL, recipient=address)


def announce_about_group(
    group: "Group", *, about: str, recipients: Iterable[str], subject: str, paragraphs: list[str], path: str
) -> None:
    """Tell these addresses, MOST_RECIPIENTS at most, something about a group, with a link to the page at `path`.

    `about` names the matter, such as 'key 3 of member 17 stops'; nobody is told the same one twice. The words hold no secret.
    In the transaction that records what is told.
    """
    words = {"subject": subject, "paragraphs": paragraphs, "path": path}
    for address in list(recipients)[:MOST_RECIPIENTS]:
        key = {"group": group, "about": about, "channel": Notice.Channel.EMAIL, "recipient": address}
        _put(**key, event=Notice.Event.ABOUT_GROUP, words=words)


def _put_each(deployment: Deployment, event: Notice.Event, generation: int, addresses: list[str]) -> None:
    """E-mails about one deployment to its members. Of many, the sweep begins the delivery: the record must not wait for it."""
    if len(addresses) <= MOST_RECIPIENTS:
        for address in addresses:
            _put(deployment=deployment, event=event, generation=generation, channel=Notice.Channel.EMAIL, recipient=address)
        return
    rows = (
        Notice(deployment=deployment, event=event, generation=generation, channel=Notice.Channel.EMAIL, recipient=address)
        for address in addresses
    )
    Notice.objects.bulk_create(rows, ignore_conflicts=True)


def _put(**notice: Any) -> None:
    """Put one notice into the outbox, unless it is there already."""
    words = {"words": notice.pop("words")} if "words" in notice else {}
    made, is_new = Notice.objects.get_or_create(**notice, defaults={"not_before": timezone.now() + TASK_WAIT, **words})
    if is_new:
        deliver_later.enqueue(made.pk, 0)


def deliver_due() -> int:
    """Enqueue the next try of each notice that is late: after a failed try, or a worker's death. Returns how many.

    At most MOST_PER_SWEEP at a time. Several workers may sweep at once.
    """
    now = timezone.now()
    forget_unsent(now)
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
    now = timezone.now()
    if not claimed.update(attempts=F("attempts") + 1, begun_at=now, not_before=now + FIRST_WAIT * 2**tries):
        return False
    notice = (
        Notice.objects.select_related(
            "deployment__stack__group", "join_request__group", "join_request__user", "join_request__code", "group"
        )
        .prefetch_related("deployment__changes__actor_user")
        .get(pk=notice_id)
    )
    try:
        _send(notice)
    except NotDelivered as refusal:
        Notice.objects.filter(pk=notice_id).update(last_error=str(refusal)[:400], failed_at=timezone.now())
        outcome = "given up" if notice.attempts >= MOST_TRIES else "to be tried again"
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
        case _:
            raise ValueError(f"{event} is not a deployment's state.")
    people = User.objects.filter(wanted, is_active=True).order_by(Case(When(asked, then=0), default=1), "pk")
    return list(people.values_list("email", flat=True)[:MOST_RECIPIENTS])
