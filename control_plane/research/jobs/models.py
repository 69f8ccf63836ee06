"""Jobs submitted to analyses' back ends. The state of a job is read from S3; a row keeps what was last seen there."""

from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.timesince import timesince

from control_plane.access.groups.models import Analysis, Group
from control_plane.research.configurations.names import CONFIGURATIONS, configuration_name


class JobQuerySet(models.QuerySet["Job"]):
    """Queries of jobs by state."""

    def open(self) -> Self:
        """Return the jobs that have not ended."""
        return self.filter(state__in=Job.OPEN)


class Job(models.Model):
    """One submission: data sets and a configuration, given to an analysis at a second that no other job of the group there has."""

    class State(models.TextChoices):
        SUBMITTED = "submitted", "submitted"
        RUNNING = "running", "running"
        SUCCEEDED = "succeeded", "succeeded"
        FAILED = "failed", "failed"
        SILENT = "silent", "no response"
        ENDED = "ended", "ended"

    # ENDED: the back end said that the job ended, not how each data set did.
    # A silent job is looked at still: its back end may speak again.
    OPEN: ClassVar[tuple[str, ...]] = (State.SUBMITTED, State.RUNNING, State.SILENT)

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="jobs")
    analysis = models.ForeignKey(Analysis, on_delete=models.PROTECT, related_name="jobs")
    submitted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    timestamp = models.BigIntegerField(help_text="Seconds since 1970; with the bucket it names the job, also for the back end.")
    token = models.CharField(max_length=64, unique=True, help_text="The form that submitted it: sent twice, it is one job.")
    submission_key = models.CharField(max_length=1024, help_text="Where its submit.json lies.")
    inputs = models.JSONField(help_text="The keys of its data sets, a list.")
    config_key = models.CharField(max_length=1024)
    instance_type = models.CharField(max_length=40, blank=True, help_text="What the back end was asked to run it on.")
    resubmits = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="+", help_text="Whose failed data sets these are."
    )
    state = models.CharField(max_length=16, choices=State, default=State.SUBMITTED)
    done_count = models.PositiveIntegerField(default=0, help_text="Data sets that succeeded.")
    failed_count = models.PositiveIntegerField(default=0, help_text="Data sets that failed.")
    submitted_at = models.DateTimeField(auto_now_add=True)
    written_at = models.DateTimeField(null=True, help_text="When S3 took its submit.json.")
    looked_at = models.DateTimeField(null=True, help_text="When S3 was last asked.")
    heard_at = models.DateTimeField(null=True, help_text="When the back end last wrote something.")
    ended_at = models.DateTimeField(null=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("group", "analysis", "timestamp"), name="one_job_per_second_and_place"),)
        indexes = (
            models.Index(fields=("group", "analysis", "-id"), name="job_history"),
            models.Index(fields=("looked_at",), condition=models.Q(state__in=("submitted", "running", "silent")), name="job_open"),
        )

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("jobs:job", args=(self.group.slug, self.analysis.slug, self.timestamp))

    @property
    def is_open(self) -> bool:
        """True if the back end may still write something."""
        return self.state in self.OPEN

    @property
    def took(self) -> str:
        """Duration for people; empty if the job has not ended."""
        if self.ended_at is None:
            return ""
        seconds = round((self.ended_at - self.submitted_at).total_seconds())
        # S3's clock is not ours.
        return f"{max(seconds, 0)} s" if seconds < 60 else timesince(self.submitted_at, self.ended_at)

    @property
    def name(self) -> str:
        """Name that back ends use."""
        return f"job__{self.analysis.bucket}_{self.timestamp}"

    @property
    def configuration(self) -> str:
        """Name of the configuration, as on its page."""
        return configuration_name(self.config_key.partition("/")[2].removeprefix(CONFIGURATIONS))

    @property
    def prefix(self) -> str:
        """Prefix of the keys of everything that the back end writes."""
        return f"{self.group.slug}/results/{self.name}/"
