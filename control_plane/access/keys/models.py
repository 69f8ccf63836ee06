"""Models of members' access keys: what IAM last said of each, reminders of old keys' ends, and adopted keys.

They hold no secret.
"""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q

from control_plane.access.groups.models import Group, Membership
from control_plane.accounts.models import User


class KeyUseQuerySet(models.QuerySet["KeyUse"]):
    """Query set of keys, as lists need them."""

    def of_members(self) -> Self:
        """Filter the present and old keys of members who are not being removed; keys that were replaced since are left out."""
        present = Q(serial=F("membership__key_serial"))
        old = Q(serial=F("membership__key_serial") - 1) & ~Q(membership__previous_key="")
        return self.filter(present | old, membership__removed_generation__isnull=True)

    def unused_since(self, moment: datetime) -> Self:
        """Filter the active keys that nobody has used since then."""
        never = Q(last_used_at__isnull=True, made_at__lt=moment)
        return self.filter(never | Q(last_used_at__lt=moment), is_active=True)


class KeyUse(models.Model):
    """An access key that IAM held at the last check. Its identifier is no secret."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="key_uses")
    serial = models.PositiveIntegerField(help_text="Which of the member's keys it is, counted from 1.")
    access_key_id = models.CharField(max_length=128, unique=True)
    is_active = models.BooleanField(help_text="Whether AWS lets it in.")
    made_at = models.DateTimeField(help_text="When AWS made it.")
    last_used_at = models.DateTimeField(null=True)
    last_service = models.CharField(max_length=64, blank=True, help_text="What it was last used for, as AWS calls it, such as s3.")
    checked_at = models.DateTimeField()

    objects = KeyUseQuerySet.as_manager()

    class Meta:
        ordering = (F("last_used_at").asc(nulls_first=True), "made_at", "pk")
        indexes = (models.Index(fields=("last_used_at",)),)
        verbose_name = "access key"

    def __str__(self) -> str:
        return self.access_key_id


class KeyCheck(models.Model):
    """The last check of a group's keys with IAM, and its error if it failed."""

    group = models.OneToOneField(Group, on_delete=models.CASCADE, related_name="key_check")
    asked_at = models.DateTimeField(db_index=True)
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=400, blank=True)

    def __str__(self) -> str:
        return f"keys of {self.group}"


class OldKeyReminder(models.Model):
    """A reminder that was sent to a member: the key before this one is about to stop."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="+")
    key_serial = models.PositiveIntegerField()
    until = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("membership", "key_serial", "until"), name="one_reminder_per_end"),)

    def __str__(self) -> str:
        return f"{self.membership}: key {self.key_serial}"


class AdoptedKeyQuerySet(models.QuerySet["AdoptedKey"]):
    """Query set of adopted keys."""

    def held_by_aws(self) -> Self:
        """Filter the keys that AWS still holds."""
        return self.exclude(state=AdoptedKey.State.REMOVED)


class AdoptedKey(models.Model):
    """An access key that the predecessor made. CloudFormation does not know it, so Cohort removes it itself."""

    class State(models.TextChoices):
        """State of an adopted key."""

        IN_USE = "in-use", "works"
        REMOVING = "removing", "is being removed"
        REMOVED = "removed", "removed"

    membership = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="adopted_keys")
    access_key_id = models.CharField(max_length=128, unique=True, help_text="Not secret: it only names the key.")
    old_user = models.CharField(max_length=64, help_text="What its IAM user was called before.")
    state = models.CharField(max_length=16, choices=State, default=State.IN_USE)
    adopted_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True)

    objects = AdoptedKeyQuerySet.as_manager()

    class Meta:
        # The table lies where the move from the predecessor made it.
        db_table = "legacy_adoptedkey"
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.access_key_id} of {self.membership}"

    @property
    def person(self) -> User:
        """The person whose key it is."""
        return self.membership.user
