"""Who belongs to which group, and which analyses each group may use.

Nothing here says 'deployed': whether a membership or a grant is in force follows from its generations and what its group's
stack was last seen to hold. So a row is never ahead of AWS, and none is removed before AWS has let go.
"""

import secrets
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Lower
from django.urls import reverse

from control_plane.accounts.validation import validate_name
from control_plane.deployments.models import Stack
from control_plane.groups.validation import validate_bucket, validate_slug

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def make_username() -> str:
    """A fresh opaque name for AWS: `m` and 55 random bits. Never used twice, so that no old session fits a new member."""
    return "m" + "".join(secrets.choice(_BASE32) for _ in range(11))


class Group(models.Model):
    """A research group: a slug, a name, and the stack that gives it access."""

    slug = models.CharField(max_length=32, unique=True, validators=[validate_slug])
    name = models.CharField(max_length=120, validators=[validate_name])
    folded_name = models.CharField(max_length=240, unique=True, editable=False)
    stack = models.OneToOneField(Stack, on_delete=models.PROTECT, related_name="group")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("group", args=(self.slug,))


class Analysis(models.Model):
    """An analysis that groups can be granted, with its own bucket."""

    slug = models.CharField(max_length=32, unique=True, validators=[validate_slug])
    name = models.CharField(max_length=120, validators=[validate_name])
    bucket = models.CharField(max_length=63, unique=True, validators=[validate_bucket])
    stack = models.ForeignKey(Stack, on_delete=models.PROTECT, related_name="analyses")
    added_generation = models.PositiveIntegerField(help_text="The platform's generation that makes the bucket.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)
        verbose_name_plural = "analyses"
        constraints = (models.UniqueConstraint(Lower("name"), name="analysis_name_ci"),)

    def __str__(self) -> str:
        return self.name


class Access(models.TextChoices):
    """How a member gets in: by short-lived credentials that the control plane hands out, or by a key of their own."""

    FEDERATED = "federated", "Federated: short-lived credentials, no key to keep"
    KEYS = "keys", "Keys: an access key of their own"


class AccessState(models.TextChoices):
    """Where a membership or grant stands on AWS."""

    ADDING = "adding", "being given"
    ACTIVE = "active", "in force"
    REMOVING = "removing", "being taken away"
    ENDED = "ended", "ended"


class ScopedQuerySet(models.QuerySet[Any]):
    """Rows that come and go with their group's generations."""

    def wanted(self) -> Self:
        """Those that nobody has asked to take away."""
        return self.filter(removed_generation__isnull=True)

    def not_ended(self) -> Self:
        """Those that AWS holds, or will."""
        return self.exclude(removed_generation__lte=F("group__stack__deployed_generation"))

    def with_state(self) -> Self:
        """Annotate `state`, an AccessState."""
        deployed = F("group__stack__deployed_generation")
        return self.annotate(
            state=Case(
                When(removed_generation__lte=deployed, then=Value(AccessState.ENDED)),
                When(removed_generation__isnull=False, then=Value(AccessState.REMOVING)),
                When(added_generation__gt=deployed, then=Value(AccessState.ADDING)),
                default=Value(AccessState.ACTIVE),
            )
        )


class Scoped(models.Model):
    """A row that takes effect with one generation of its group and ends with another."""

    added_generation = models.PositiveIntegerField()
    removed_generation = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    @property
    def access_state(self) -> AccessState:
        """Where it stands on AWS. Reads the group's stack; `with_state` does the same in the query."""
        deployed = self.group.stack.deployed_generation  # type: ignore[attr-defined]
        if self.removed_generation is not None:
            return AccessState.ENDED if self.removed_generation <= deployed else AccessState.REMOVING
        return AccessState.ACTIVE if self.added_generation <= deployed else AccessState.ADDING


class Membership(Scoped):
    """A person in a group, known to AWS by an opaque username of this membership's own."""

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    username = models.CharField(max_length=12, unique=True, default=make_username, editable=False)
    access = models.CharField(max_length=16, choices=Access)
    key_serial = models.PositiveIntegerField(default=1)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("group__slug", "user__email")
        constraints = (
            models.UniqueConstraint(
                fields=("group", "user"), condition=Q(removed_generation__isnull=True), name="one_membership_per_group"
            ),
        )

    def __str__(self) -> str:
        return f"{self.user} in {self.group}"


class Grant(Scoped):
    """An analysis that a group may use."""

    class Level(models.TextChoices):
        READ_WRITE = "read-write", "Read and write"
        READ_ONLY = "read-only", "Read only"

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="grants")
    analysis = models.ForeignKey(Analysis, on_delete=models.PROTECT, related_name="grants")
    level = models.CharField(max_length=16, choices=Level)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ("group__slug", "analysis__slug")
        constraints = (
            models.UniqueConstraint(
                fields=("group", "analysis"), condition=Q(removed_generation__isnull=True), name="one_grant_per_group"
            ),
        )

    def __str__(self) -> str:
        return f"{self.analysis} for {self.group}"
