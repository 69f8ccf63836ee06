"""Messages that nobody has taken: which, why, and trying one again because somebody asks."""

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
    """That no e-mail gets out: since when, and what the mail server, or the way to it, said last."""

    since: datetime
    reason: str


def mail_problem() -> MailProblem | None:
    """Say what keeps e-mails from going out. None once one was sent after the last try that failed."""
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
    """List messages that nobody has taken though it was tried, the newest failure first."""
    return Notice.objects.unsent().exclude(failed_at=None).order_by("-failed_at", "-pk")


def try_again(notice_id: int) -> bool:
    """Have one more try made at once. Returns whether one will be: not where the message is gone, sent, or being sent already."""
    has_words = ~Q(event=Notice.Event.ACCOUNT) | ~Q(sealed="")
    waiting = Notice.objects.failed().filter(has_words, pk=notice_id)
    # Of one that was given up, the last try is made once more.
    tries = Least(F("attempts"), MAX_TRIES - 1, output_field=PositiveSmallIntegerField())
    with transaction.atomic():
        now = timezone.now()
        if not waiting.update(begun_at=now, attempts=tries, not_before=now + TASK_WAIT):
            return False
        deliver.enqueue(notice_id, Notice.objects.values_list("attempts", flat=True).get(pk=notice_id))
    return True
