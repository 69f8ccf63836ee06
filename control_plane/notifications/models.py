"""The outbox: what has to be told, to whom, and whether it was."""

from datetime import datetime
from enum import Enum
from uuid import uuid4

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

MAX_TRIES = 8
# A longer subject is cut by most mail programs.
LONGEST_SUBJECT = 150


def fresh_key() -> str:
    """Make the key of a message that is told however often it is announced."""
    return uuid4().hex


class Delivery(Enum):
    """How far a message is, as people are told: never two of these at once."""

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Notices, by what the sweep asks."""

    def unsent(self) -> "NoticeQuerySet":
        """Those that nobody has received yet, given up or not."""
        return self.filter(sent_at=None)

    def due(self, now: datetime) -> "NoticeQuerySet":
        """Unsent ones whose next try is late, the latest first."""
        return self.unsent().filter(attempts__lt=MAX_TRIES, not_before__lte=now).order_by("not_before")

    def failed(self) -> "NoticeQuerySet":
        """Unsent ones whose last try failed, while no other was begun or asked for."""
        return self.unsent().filter(failed_at__gte=F("begun_at"))


class Notice(models.Model):
    """One message about a deployment, a request to join, a group or an account, to one recipient.

    Made, with its words, in the transaction of what it tells. `key` names that: a recipient is told it once in each channel.
    """

    class Event(models.TextChoices):
        """What is told: a deployment's state, in its own words; what it meant for a member; or what became of a request."""

        SUCCEEDED = "succeeded", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"
        APPROVAL = "approval", "waits for approval"
        ACCESS_GIVEN = "access-given", "access given"
        ACCESS_ENDED = "access-ended", "access ended"
        JOIN_ASKED = "join-asked", "somebody asks to join"
        JOIN_APPROVED = "join-approved", "request approved"
        JOIN_DECLINED = "join-declined", "request declined"
        ABOUT_GROUP = "about-group", "something about a group"
        ACCOUNT = "account", "something about an account"

    class Channel(models.TextChoices):
        EMAIL = "email", "e-mail"
        WEBHOOK = "webhook"

    event = models.CharField(max_length=16, choices=Event)
    key = models.CharField(max_length=200, default=fresh_key, help_text="What exactly is told, so that nobody is told twice.")
    channel = models.CharField(max_length=16, choices=Channel)
    recipient = models.CharField(max_length=320, help_text="The address, or the host that is posted to.")
    subject = models.CharField(max_length=LONGEST_SUBJECT, blank=True)
    paragraphs = models.JSONField(default=list, blank=True, help_text="The e-mail's text up to its link.")
    path = models.CharField(max_length=500, blank=True, help_text="Of the page that the e-mail links to.")
    reason = models.CharField(max_length=200, blank=True, help_text="Why the recipient is told, as the e-mail ends.")
    sealed = models.TextField(blank=True, help_text="Of an account: subject and text, encrypted until they are sent or too old.")
    document = models.TextField(blank=True, help_text="What the webhook posts, as JSON; the delivery adds its id and time.")
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Tries begun.")
    not_before = models.DateTimeField(default=timezone.now, help_text="When the sweep has it tried again.")
    begun_at = models.DateTimeField(null=True, help_text="When the last try was begun, or asked for.")
    failed_at = models.DateTimeField(null=True, help_text="When the last try that failed did.")
    last_error = models.CharField(max_length=400, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("key", "channel", "recipient"), name="one_notice_per_key_and_recipient"),)
        indexes = (
            models.Index(fields=("not_before",), name="notice_unsent", condition=Q(sent_at=None)),
            models.Index(fields=("sent_at",), name="notice_sent"),
        )

    def __str__(self) -> str:
        return f"{self.key}, to {self.recipient}"

    @property
    def delivery(self) -> Delivery:
        """How far it is. A try that is under way counts as sending, whatever became of those before."""
        if self.sent_at is not None:
            return Delivery.SENT
        has_failed = self.failed_at is not None and self.begun_at is not None and self.failed_at >= self.begun_at
        return Delivery.FAILED if has_failed else Delivery.SENDING

    @property
    def is_given_up(self) -> bool:
        """Whether nobody tries it again unless somebody asks."""
        return self.sent_at is None and self.attempts >= MAX_TRIES

    @property
    def has_words(self) -> bool:
        """Whether there is anything to send still: an account's text is removed after a day, with the link in it."""
        return self.event != self.Event.ACCOUNT or bool(self.sealed)

    @property
    def message_id(self) -> str:
        """The same for every try, so that a receiver can tell a repetition."""
        return f"notice_{self.pk}"
