"""Uploaded rosters, from the dry run until they are applied."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.urls import reverse

from control_plane.base.audit.actors import Actor


class Roster(models.Model):
    """One file of people and memberships. Its text is forgotten once it is applied; see `cleaning` for the rest."""

    class State(models.TextChoices):
        CHECKED = "checked", "checked, not applied"
        WAITING = "waiting", "waits for a worker"
        APPLYING = "applying", "being applied"
        APPLIED = "applied", "applied"

    UNDER_WAY: ClassVar[tuple[str, ...]] = (State.WAITING, State.APPLYING)

    file_name = models.CharField(max_length=120)
    text = models.TextField(blank=True, help_text="What the file says; empty once it is applied.")
    fates = models.JSONField(default=list, help_text="What the dry run said of each row.")
    problems = models.JSONField(default=list, help_text="What is wrong with the file as a whole.")
    notes = models.JSONField(default=list, help_text="How the file was understood, where that is worth a look.")
    counts = models.JSONField(default=dict, help_text="How many rows meet each fate.")
    digest = models.CharField(max_length=64, help_text="Of all that the dry run decided.")
    state = models.CharField(max_length=16, choices=State, default=State.CHECKED)
    note = models.CharField(max_length=400, blank=True, help_text="Why it was checked again, or not applied.")
    good_rows = models.BooleanField(default=False, help_text="Whether to apply the good rows although others are refused.")
    outcomes = models.JSONField(default=list, help_text="What became of each group so far.")
    asked_by = models.CharField(max_length=320)
    asked_by_user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    address = models.GenericIPAddressField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    checked_at = models.DateTimeField()
    touched_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.file_name

    def get_absolute_url(self) -> str:
        return reverse("admin:rosters_roster_fates", args=(self.pk,))

    @property
    def is_under_way(self) -> bool:
        """True if a worker is applying it, or is to apply it."""
        return self.state in self.UNDER_WAY

    def actor(self) -> Actor:
        """Return the actor who requested it. The user is read again, so that their present permissions count."""
        return Actor(label=self.asked_by, channel="web", user=self.asked_by_user, address=self.address)
