"""Models of retirement: retirements of groups and analyses, cleanup of their data, and surveys beforehand."""

from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from control_plane.access.groups.models import Analysis, Group
from control_plane.deployments.models import Deployment


class DataChoice(models.TextChoices):
    """Choice for a retired group's objects in S3."""

    KEEP = "keep", "Keep: nothing in S3 changes"
    ARCHIVE = "archive", "Archive: moved to S3’s cheapest class, from which they can be asked back within hours"
    DELETE = "delete", "Delete: every object with all its versions, for good"


class RetirementManager(models.Manager["Retirement"]):
    """Manager of groups' retirements, which notes a new one on the group."""

    def open(self, *, group: Group, due_at: datetime, **fields: Any) -> "Retirement":
        """Create a group's retirement, and set `Group.retires_at` to its date. In the caller's transaction."""
        group.retires_at = due_at
        group.save(update_fields=["retires_at"])
        return self.create(group=group, due_at=due_at, **fields)


class Retirement(models.Model):
    """A request to retire a group, and its progress. A group has at most one that is open."""

    class State(models.TextChoices):
        WAITING = "waiting", "waits, and can be undone"
        REMOVING = "removing", "its access is being removed from AWS"
        DATA = "data", "its data is being dealt with"
        DONE = "done", "retired"
        UNDONE = "undone", "undone"

    OPEN: ClassVar[tuple[str, ...]] = (State.WAITING, State.REMOVING, State.DATA)

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="retirements")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    data = models.CharField(max_length=16, choices=DataChoice, default=DataChoice.KEEP)
    asked_by = models.CharField(max_length=320)
    asked_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(help_text="From when on it is carried out, and can be undone no more.")
    was_suspended = models.BooleanField(default=False, help_text="Whether it was suspended before, and stays so if this is undone.")
    undone_by = models.CharField(max_length=320, blank=True)
    undone_at = models.DateTimeField(null=True)
    began_at = models.DateTimeField(null=True, help_text="When it began to be carried out.")
    finished_at = models.DateTimeField(null=True)
    counts = models.JSONField(default=dict, help_text="What ended: how many members, keys, analyses, join codes and requests.")
    deployment = models.ForeignKey(Deployment, null=True, on_delete=models.SET_NULL, related_name="+")
    error = models.TextField(blank=True, help_text="Why its data could not be dealt with at the last try.")
    not_before = models.DateTimeField(null=True, help_text="When a worker is to look at its data next.")
    lease_owner = models.CharField(max_length=64, blank=True, help_text="The task that deals with its data now.")
    lease_until = models.DateTimeField(null=True)

    objects = RetirementManager()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("state", "due_at")),)
        constraints = (
            models.UniqueConstraint(
                fields=("group",), condition=Q(state__in=("waiting", "removing", "data")), name="one_open_retirement_per_group"
            ),
        )

    def __str__(self) -> str:
        return f"Retirement of {self.group}"

    @property
    def is_open(self) -> bool:
        """True until the retirement is done or undone."""
        return self.state in self.OPEN

    @property
    def can_be_undone(self) -> bool:
        """True until the retirement begins to be carried out."""
        return self.state == self.State.WAITING


class BucketChoice(models.TextChoices):
    """Choice for a retired analysis's bucket."""

    KEEP = "keep", "Keep: the bucket and all that it holds stay in the AWS account"
    DELETE = "delete", "Delete: the bucket, and every object in it with all its versions, for good"


class AnalysisRetirement(models.Model):
    """A request to retire an analysis, and its progress. An analysis has at most one that was not undone."""

    class State(models.TextChoices):
        WAITING = "waiting", "waits, and can be undone"
        REMOVING = "removing", "its bucket is being taken out of its stack"
        EMPTYING = "emptying", "its bucket is being emptied and deleted"
        DONE = "done", "retired"
        UNDONE = "undone", "undone"

    OPEN: ClassVar[tuple[str, ...]] = (State.WAITING, State.REMOVING, State.EMPTYING)

    analysis = models.ForeignKey(Analysis, on_delete=models.PROTECT, related_name="retirements")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    bucket = models.CharField(max_length=16, choices=BucketChoice, default=BucketChoice.KEEP)
    asked_by = models.CharField(max_length=320)
    asked_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(help_text="From when on it is carried out, and can be undone no more.")
    undone_by = models.CharField(max_length=320, blank=True)
    undone_at = models.DateTimeField(null=True)
    began_at = models.DateTimeField(null=True, help_text="When it began to be carried out.")
    finished_at = models.DateTimeField(null=True)
    deployment = models.ForeignKey(Deployment, null=True, on_delete=models.SET_NULL, related_name="+")
    objects_done = models.PositiveBigIntegerField(default=0, help_text="Versions that were deleted.")
    bytes_done = models.PositiveBigIntegerField(default=0)
    error = models.TextField(blank=True, help_text="Why its bucket could not be emptied or deleted at the last try.")
    not_before = models.DateTimeField(null=True, help_text="When a worker is to look at its bucket next.")
    lease_owner = models.CharField(max_length=64, blank=True, help_text="The task that empties its bucket now.")
    lease_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("state", "due_at")),)
        constraints = (
            models.UniqueConstraint(fields=("analysis",), condition=~Q(state="undone"), name="one_retirement_per_analysis"),
        )

    def __str__(self) -> str:
        return f"Retirement of {self.analysis}"

    @property
    def is_open(self) -> bool:
        """True until the retirement is done or undone."""
        return self.state in self.OPEN

    @property
    def can_be_undone(self) -> bool:
        """True until the retirement begins to be carried out."""
        return self.state == self.State.WAITING


class DataPlace(models.Model):
    """The group's folder in one analysis bucket, and the progress of its cleanup."""

    retirement = models.ForeignKey(Retirement, on_delete=models.CASCADE, related_name="places")
    bucket = models.CharField(max_length=63)
    expected = models.PositiveBigIntegerField(null=True, help_text="Objects that were counted beforehand, if they were.")
    is_more = models.BooleanField(default=False, help_text="Whether there were more than `expected`.")
    objects_done = models.PositiveBigIntegerField(default=0, help_text="Objects that were tagged, or versions that were deleted.")
    bytes_done = models.PositiveBigIntegerField(default=0)
    left_out = models.PositiveBigIntegerField(default=0, help_text="Objects that have all the tags that S3 allows already.")
    marker = models.TextField(blank=True, help_text="The last key that was tagged: where it goes on.")
    is_done = models.BooleanField(default=False)

    class Meta:
        ordering = ("bucket",)
        constraints = (models.UniqueConstraint(fields=("retirement", "bucket"), name="one_place_per_bucket"),)

    def __str__(self) -> str:
        return f"{self.retirement} in {self.bucket}"


class Survey(models.Model):
    """A worker's count of what a group has on AWS, made before it is retired."""

    class State(models.TextChoices):
        WAITING = "waiting", "being worked out"
        DONE = "done", "ready"
        FAILED = "failed", "failed"

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="surveys")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now, db_index=True)
    resources = models.JSONField(default=dict, help_text="How many of each kind the stack holds.")
    buckets = models.JSONField(default=list, help_text="Of each bucket: bucket, objects, bytes, more (than could be counted).")
    error = models.TextField(blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"Survey of {self.group}"
