"""Catalogue entries of analyses, and requests for access to them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from control_plane.access.groups.models import Analysis, Group
from control_plane.deployments.models import Deployment


class Entry(models.Model):
    """An analysis's page in the catalogue. An analysis without one is shown by its name alone, and is not custom."""

    analysis = models.OneToOneField(Analysis, on_delete=models.CASCADE, related_name="entry")
    summary = models.CharField(max_length=200, blank=True, help_text="One sentence.")
    description = models.TextField(blank=True, max_length=50_000, help_text="Markdown.")
    paper_url = models.URLField(blank=True, max_length=500)
    source_url = models.URLField(blank=True, max_length=500)
    demo_url = models.URLField(blank=True, max_length=500)
    template = models.TextField(
        blank=True, max_length=100_000, help_text="YAML: what a configuration holds, with its defaults and comments that explain."
    )
    schema = models.TextField(blank=True, max_length=100_000, help_text="JSON Schema that configurations have to fit.")
    is_custom = models.BooleanField(
        default=False, help_text="Made for certain groups: left out where groups are given the default analyses."
    )
    instance_type = models.CharField(
        max_length=40, blank=True, help_text="What the back end is asked to run a job on; empty leaves it to the back end."
    )
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("analysis__slug",)
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return f"the catalogue's entry of {self.analysis}"


class AccessRequest(models.Model):
    """A group's wish to use an analysis, which an administrator decides."""

    class State(models.TextChoices):
        WAITING = "waiting", "waits for an administrator"
        APPROVED = "approved", "approved"
        DECLINED = "declined", "declined"
        WITHDRAWN = "withdrawn", "withdrawn"

    OPEN: ClassVar[tuple[str, ...]] = (State.WAITING,)

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="access_requests")
    analysis = models.ForeignKey(Analysis, on_delete=models.PROTECT, related_name="access_requests")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=400, blank=True, help_text="What the group wants it for.")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=320, blank=True)
    note = models.CharField(max_length=400, blank=True, help_text="What who decided tells the group.")
    deployment = models.ForeignKey(Deployment, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("state", "-id")),)
        constraints = (
            models.UniqueConstraint(
                fields=("group", "analysis"), condition=Q(state="waiting"), name="one_open_request_per_analysis"
            ),
        )

    def __str__(self) -> str:
        return f"{self.group} asks to use {self.analysis}"
