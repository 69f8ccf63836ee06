"""The outbox's table: messages with their recipient and delivery state."""

from datetime import datetime
from enum import Enum
from uuid import uuid4

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

MAX_TRIES = 8
# Most mail programs cut a longer subject.
MAX_SUBJECT_CHARACTERS = 150


def fresh_key() -> str:
    """Return a new key for a message that is sent each time it is announced."""
    return uuid4().hex


class Delivery(Enum):
    """Delivery state of a message, as shown to people."""

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Notices by delivery state."""

    def unsent(self) -> "NoticeQuerySet":
        """Return the notices that were not delivered yet, given up or not."""
        return self.filter(sent_at=None)

    def due(self, now: datetime) -> "NoticeQuerySet":
        """Return the unsent notices whose next attempt is due, the oldest first."""
        return self.unsent().filter(attempts__lt=MAX_TRIES, not_before__lte=now).order_by("not_before")

    def failed(self) -> "NoticeQuerySet":
        """Return the unsent notices whose last attempt failed, without another begun or requested since."""
        return self.unsent().filter(failed_at__gte=F("begun_at"))


class Notice(models.Model):
    """One message about a deployment, a request to join, a group or an account, to one recipient.

    Made, with its words, in the transaction of what it tells. `key` names that: a recipient is told it once in each channel.
    """

    class Event(models.TextChoices):
        """Event of the message: a deployment's state (with the same values), an effect on a member, or the outcome of a request."""

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
    subject = models.CharField(max_length=MAX_SUBJECT_CHARACTERS, blank=True)
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
        """Delivery state. An attempt that is under way counts as sending, even if earlier ones failed."""
        if self.sent_at is not None:
            return Delivery.SENT
        has_failed = self.failed_at is not None and self.begun_at is not None and self.failed_at >= self.begun_at
        return Delivery.FAILED if has_failed else Delivery.SENDING

    @property
    def is_given_up(self) -> bool:
        """True if there are no further attempts unless somebody requests one."""
        return self.sent_at is None and self.attempts >= MAX_TRIES

    @property
    def has_words(self) -> bool:
        """True if there is still text to send: that of an account e-mail is removed after a day, with the link in it."""
        return self.event != self.Event.ACCOUNT or bool(self.sealed)

    @property
    def message_id(self) -> str:
        """Message id, the same for every attempt, so that a receiver can recognise a repetition."""
        return f"notice_{self.pk}"
