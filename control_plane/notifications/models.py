"""The outbox: what has to be told, to whom, and whether it was."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone

from control_plane.deployments.models import Deployment

MOST_TRIES = 8


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Notices, by what the sweep asks."""

    def unsent(self) -> "NoticeQuerySet":
        """Those that nobody has received yet, given up or not."""
        return self.filter(sent_at=None)

    def due(self, now: datetime) -> "NoticeQuerySet":
        """Unsent ones whose next try is late, the latest first."""
        return self.unsent().filter(attempts__lt=MOST_TRIES, not_before__lte=now).order_by("not_before")


class Notice(models.Model):
    """One message about a deployment, a request to join or a group, to one recipient. Made in the transaction of what it tells."""

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

    class Channel(models.TextChoices):
        EMAIL = "email", "e-mail"
        WEBHOOK = "webhook"

    deployment = models.ForeignKey(Deployment, null=True, on_delete=models.CASCADE, related_name="notices")
    join_request = models.ForeignKey("groups.JoinRequest", null=True, on_delete=models.CASCADE, related_name="notices")
    group = models.ForeignKey("groups.Group", null=True, on_delete=models.CASCADE, related_name="notices")
    about = models.CharField(max_length=128, blank=True, help_text="Of a group: what exactly, so that nobody is told twice.")
    words = models.JSONField(default=dict, blank=True, help_text="Of a group: subject, paragraphs, and the path of the page.")
    event = models.CharField(max_length=16, choices=Event)
    generation = models.PositiveIntegerField(
        default=0, help_text="What the deployment covered; a later change needs approval, and a notice, anew."
    )
    channel = models.CharField(max_length=16, choices=Channel)
    recipient = models.CharField(max_length=320, help_text="The address, or the host that is posted to.")
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Tries begun.")
    not_before = models.DateTimeField(default=timezone.now, help_text="When the sweep has it tried again.")
    last_error = models.CharField(max_length=400, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("deployment", "event", "generation", "channel", "recipient"), name="one_notice_per_end_and_recipient"
            ),
            models.UniqueConstraint(fields=("join_request", "event", "channel", "recipient"), name="one_notice_per_request"),
            models.CheckConstraint(
                condition=Q(deployment__isnull=False, join_request__isnull=True, group__isnull=True)
                | Q(deployment__isnull=True, join_request__isnull=False, group__isnull=True)
                | Q(deployment__isnull=True, join_request__isnull=True, group__isnull=False),
                name="notice_of_one_thing",
            ),
            models.UniqueConstraint(fields=("group", "about", "channel", "recipient"), name="one_notice_about_a_group"),
        )
        indexes = (models.Index(fields=("not_before",), name="notice_unsent", condition=Q(sent_at=None)),)

    def __str__(self) -> str:
        return f"{self.deployment or self.join_request or self.group} {self.event}, to {self.recipient}"

    @property
    def message_id(self) -> str:
        """The same for every try, so that a receiver can tell a repetition."""
        return f"notice_{self.pk}"
