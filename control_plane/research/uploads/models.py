"""Uploads from a browser to S3. A row is made before the first byte is sent, and is complete only after S3 was asked."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q

from control_plane.access.groups.models import Analysis, Group


class UploadQuerySet(models.QuerySet["Upload"]):
    """Queries of uploads by owner and state."""

    def unfinished(self) -> Self:
        """Return the uploads that can be resumed."""
        return self.filter(state=Upload.State.SENDING)

    def owned_by(self, *, group: Group, analysis: Analysis, user: object) -> Self:
        """Return one person's uploads in one folder."""
        return self.filter(group=group, analysis=analysis, user=user)


class Upload(models.Model):
    """One file that one person sends to one key.

    `modified` is the file's own time on the person's disk, in milliseconds since 1970, as browsers tell it: with path and
    size it tells the same file again after a restart. `upload_id` is empty for a file that goes in one request.
    """

    class State(models.TextChoices):
        SENDING = "sending", "unfinished"
        COMPLETE = "complete", "complete"
        WRONG = "wrong", "not what was sent"
        REMOVED = "removed", "removed"

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="+")
    analysis = models.ForeignKey(Analysis, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=1024)
    folder = models.CharField(
        max_length=1024, help_text="What was chosen on the page, below the group's own; the rest of the key came with the file."
    )
    size = models.BigIntegerField(help_text="Bytes.")
    modified = models.BigIntegerField()
    part_size = models.BigIntegerField(help_text="Bytes.")
    upload_id = models.CharField(max_length=1024, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.SENDING)
    checksum = models.CharField(
        max_length=8, blank=True, help_text="CRC-32 of the whole file in base64, as S3 told it. Empty where its MD5 was enough."
    )
    etag = models.CharField(max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    objects = UploadQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("analysis", "key", "user"), condition=Q(state="sending"), name="one_unfinished_upload_per_key"
            ),
        )
        indexes = (
            models.Index(fields=("user", "group", "analysis"), condition=Q(state="sending"), name="upload_unfinished"),
            models.Index(fields=("analysis", "key"), name="upload_key"),
        )

    def __str__(self) -> str:
        return self.key

    @property
    def path(self) -> str:
        """Path below the group's own folder."""
        return self.key.partition("/")[2]

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.key.rsplit("/", 1)[-1]
