"""Undelivered messages: list, reason, and retry on request."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F, PositiveSmallIntegerField, Q, QuerySet
from django.db.models.functions import Least
from django.utils import timezone

from control_plane.notifications.models import MAX_TRIES, Notice
from control_plane.notifications.tasks import TASK_WAIT, deliver


@dataclass(frozen=True)
class MailProblem:
    """An outage of e-mail: its beginning, and the last error of the mail server or of the connection to it."""

    since: datetime
    reason: str


def mail_problem() -> MailProblem | None:
    """Return the present outage of e-mail. None if an e-mail was sent after the last failure."""
    emails = Notice.objects.filter(channel=Notice.Channel.EMAIL)
    failed = emails.unsent().exclude(failed_at=None)
    newest = failed.order_by("-failed_at").first()
    if newest is None or newest.failed_at is None or emails.filter(sent_at__gt=newest.failed_at).exists():
        return None
    last_sent = emails.exclude(sent_at=None).order_by("-sent_at").values_list("sent_at", flat=True).first()
    since = failed.filter(failed_at__gt=last_sent) if last_sent else failed
    oldest = since.order_by("failed_at").values_list("failed_at", flat=True).first()
    return MailProblem(since=oldest or newest.failed_at, reason=newest.last_error)


def undelivered() -> QuerySet[Notice]:
    """Return the messages whose delivery has failed so far, the newest failure first."""
    return Notice.objects.unsent().exclude(failed_at=None).order_by("-failed_at", "-pk")


def try_again(notice_id: int) -> bool:
    """Enqueue one more attempt at once. Returns False if the message is gone, sent, or being sent already."""
    has_words = ~Q(event=Notice.Event.ACCOUNT) | ~Q(sealed="")
    waiting = Notice.objects.failed().filter(has_words, pk=notice_id)
    # A message that was given up repeats its last attempt.
    tries = Least(F("attempts"), MAX_TRIES - 1, output_field=PositiveSmallIntegerField())
    with transaction.atomic():
        now = timezone.now()
        if not waiting.update(begun_at=now, attempts=tries, not_before=now + TASK_WAIT):
            return False
        deliver.enqueue(notice_id, Notice.objects.values_list("attempts", flat=True).get(pk=notice_id))
    return True
