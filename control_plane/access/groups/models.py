"""Groups, analyses, memberships, grants, join codes and requests to join.

No row says 'deployed': whether a membership or a grant is active follows from its generations and the generation that its
group's stack was last seen to hold. So a row is never ahead of AWS, and none is removed before AWS has removed the access.
"""

import hashlib
import secrets
from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core import signing
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from control_plane.access.groups.validation import validate_bucket, validate_slug
from control_plane.accounts.validation import validate_name
from control_plane.deployments.models import Deployment, Stack

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


def make_username() -> str:
    """Return a new opaque name for AWS: `m` and 55 random bits. Never used twice, so that no old session fits a new member."""
    return "m" + "".join(secrets.choice(_BASE32) for _ in range(11))


class Group(models.Model):
    """A research group: a slug, a name, and the stack that gives it access."""

    slug = models.CharField(max_length=32, unique=True, validators=[validate_slug])
    name = models.CharField(max_length=120, validators=[validate_name])
    folded_name = models.CharField(max_length=240, unique=True, editable=False)
    stack = models.OneToOneField(Stack, on_delete=models.PROTECT, related_name="group")
    allows_keys = models.BooleanField(default=False, help_text="Whether its managers may give members an access key of their own.")
    suspended_at = models.DateTimeField(null=True, editable=False, help_text="Since when everything is denied to all its members.")
    retires_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When it is retired, from the request on until that is undone or done: it takes in nothing.",
    )
    retired_at = models.DateTimeField(null=True, editable=False, help_text="Since when it is only a record, with nothing on AWS.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("group", args=(self.slug,))


class AnalysisQuerySet(models.QuerySet["Analysis"]):
    """Analyses, filtered by their state."""

    def offered(self) -> Self:
        """Return the analyses that groups can be granted."""
        return self.filter(retired_at__isnull=True, unmade_reason="")

    def wanted(self) -> Self:
        """Return the analyses whose bucket a storage stack is to hold."""
        return self.filter(removed_generation__isnull=True, unmade_reason="")


class Analysis(models.Model):
    """An analysis that groups can be granted, with its own bucket. Its bucket stays in the storage stack that it is made in."""

    slug = models.CharField(max_length=32, unique=True, validators=[validate_slug])
    name = models.CharField(max_length=120, validators=[validate_name])
    bucket = models.CharField(max_length=63, unique=True, validators=[validate_bucket])
    stack = models.ForeignKey(Stack, on_delete=models.PROTECT, related_name="analyses")
    added_generation = models.PositiveIntegerField(help_text="Its storage stack's generation that makes the bucket.")
    removed_generation = models.PositiveIntegerField(
        null=True, editable=False, help_text="Its storage stack's first generation without the bucket, where it is retired."
    )
    retired_at = models.DateTimeField(null=True, editable=False, help_text="Since when nobody can be granted it.")
    unmade_reason = models.TextField(
        blank=True, editable=False, help_text="Why AWS could not make the bucket, which is left out until somebody decides."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = AnalysisQuerySet.as_manager()

    class Meta:
        ordering = ("slug",)
        verbose_name_plural = "analyses"
        constraints = (models.UniqueConstraint(Lower("name"), name="analysis_name_ci"),)

    def __str__(self) -> str:
        return self.name


class Access(models.TextChoices):
    """Access method: short-lived credentials that the control plane hands out, or an access key of the member's own."""

    FEDERATED = "federated", "Short-lived credentials: no key to keep"
    KEYS = "keys", "Access key: for programs that cannot renew credentials"


class PreviousKey(models.TextChoices):
    """State of the access key before the present one, as long as AWS holds it."""

    ACTIVE = "active", "still works"
    INACTIVE = "inactive", "no longer works, and can be brought back"


class AccessState(models.TextChoices):
    """State of a membership or grant on AWS."""

    ADDING = "adding", "being added"
    ACTIVE = "active", "active"
    REMOVING = "removing", "being removed"
    ENDED = "ended", "ended"


class GenerationScopedQuerySet(models.QuerySet[Any]):
    """Rows that take effect and end with generations of their group's stack."""

    def wanted(self) -> Self:
        """Return the rows whose removal nobody has requested."""
        return self.filter(removed_generation__isnull=True)

    def not_ended(self) -> Self:
        """Return the rows that AWS holds, or will hold."""
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


class GenerationScoped(models.Model):
    """Row that takes effect with one generation of its group's stack and ends with another."""

    added_generation = models.PositiveIntegerField()
    removed_generation = models.PositiveIntegerField(null=True)
    added_by = models.CharField(max_length=320, editable=False, help_text="Who gave it.")
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    @property
    def access_state(self) -> AccessState:
        """State on AWS. Reads the group's stack; `with_state` does the same in the query."""
        deployed = self.group.stack.deployed_generation  # type: ignore[attr-defined]
        if self.removed_generation is not None:
            return AccessState.ENDED if self.removed_generation <= deployed else AccessState.REMOVING
        return AccessState.ACTIVE if self.added_generation <= deployed else AccessState.ADDING


class Membership(GenerationScoped):
    """A person in a group, known to AWS by an opaque username of this membership's own."""

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    username = models.CharField(max_length=12, unique=True, default=make_username, editable=False)
    access = models.CharField(max_length=16, choices=Access)
    key_serial = models.PositiveIntegerField(default=1)
    key_generation = models.PositiveIntegerField(
        null=True, editable=False, help_text="The generation that brings the present key, where it was rotated."
    )
    previous_key = models.CharField(
        max_length=8, blank=True, choices=PreviousKey, editable=False, help_text="The key before, as long as AWS holds it too."
    )
    previous_key_until = models.DateTimeField(
        null=True, editable=False, help_text="When the key before is made inactive, or, if it is, removed."
    )
    suspended_at = models.DateTimeField(null=True, editable=False, help_text="Since when everything is denied to the member.")
    sessions_not_before = models.DateTimeField(
        null=True, editable=False, help_text="Sessions that were opened before this are denied, until the longest is over."
    )
    ends_at = models.DateTimeField(null=True, help_text="When the membership ends by itself.")
    reminded_at = models.DateTimeField(null=True, editable=False, help_text="When its end was announced.")
    last_used_at = models.DateTimeField(
        null=True, editable=False, help_text="When credentials were last handed out for it, to the nearest ten minutes."
    )
    replaced_by = models.ForeignKey(
        "self",
        null=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="replaces",
        help_text="The membership in another group that the person moves to; this one ends once AWS holds that.",
    )
    is_manager = models.BooleanField(
        default=False, help_text="Whether this member decides who else is in the group. AWS is not told."
    )

    objects = GenerationScopedQuerySet.as_manager()

    class Meta:
        ordering = ("group__slug", "user__email")
        constraints = (
            models.UniqueConstraint(
                fields=("group", "user"), condition=Q(removed_generation__isnull=True), name="one_membership_per_group"
            ),
        )

    def __str__(self) -> str:
        return f"{self.user} in {self.group}"


class Grant(GenerationScoped):
    """An analysis that a group may use."""

    class Level(models.TextChoices):
        READ_WRITE = "read-write", "Read and write"
        READ_ONLY = "read-only", "Read only"

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="grants")
    analysis = models.ForeignKey(Analysis, on_delete=models.PROTECT, related_name="grants")
    level = models.CharField(max_length=16, choices=Level)

    objects = GenerationScopedQuerySet.as_manager()

    class Meta:
        ordering = ("group__slug", "analysis__slug")
        constraints = (
            models.UniqueConstraint(
                fields=("group", "analysis"), condition=Q(removed_generation__isnull=True), name="one_grant_per_group"
            ),
        )

    def __str__(self) -> str:
        return f"{self.analysis} for {self.group}"


# 24 letters of 5 bits each: 120 bits, in groups that can be read out.
CODE_GROUPS, CODE_GROUP_LETTERS = 6, 4
# Digits that people write for letters of a code; a code itself holds none of them.
_MISREAD = str.maketrans("018", "OIB")
DECISION_SALT = "cohort.join-request"
DECISION_LINK_SECONDS = 7 * 24 * 3600


def make_code() -> str:
    """Return a new join code, such as `ABCD-EFGH-IJKL-MNOP-QRST-UVWX`."""
    letters = [secrets.choice(_BASE32.upper()) for _ in range(CODE_GROUPS * CODE_GROUP_LETTERS)]
    return "-".join("".join(letters[start : start + CODE_GROUP_LETTERS]) for start in range(0, len(letters), CODE_GROUP_LETTERS))


def hash_code(code: str) -> str:
    """Return the SHA-256 hash that is kept of a code. Case, spaces and hyphens do not count, nor 0, 1 and 8 for O, I and B."""
    letters = "".join(character for character in code.upper().translate(_MISREAD) if character.isascii() and character.isalnum())
    return hashlib.sha256(letters.encode()).hexdigest()


class JoinCodeQuerySet(models.QuerySet["JoinCode"]):
    """Join codes, filtered by their state."""

    def usable(self, now: datetime) -> Self:
        """Return the codes that can be used now."""
        unspent = Q(most_uses__isnull=True) | Q(uses__lt=F("most_uses"))
        return self.filter(unspent, withdrawn_at__isnull=True, expires_at__gt=now)


class JoinCode(models.Model):
    """Permission to ask to join a group. The code itself is shown once, when it is made, and kept nowhere."""

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="join_codes")
    code_hash = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(max_length=CODE_GROUP_LETTERS, help_text="Its first letters, to tell it from others.")
    created_by = models.CharField(max_length=320)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)
    uses = models.PositiveIntegerField(default=0)
    most_uses = models.PositiveIntegerField(null=True)

    objects = JoinCodeQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.prefix}-…"

    @property
    def state(self) -> str:
        """State of the code: usable, withdrawn, expired or used up."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        if self.expires_at <= timezone.now():
            return "expired"
        return "used up" if self.most_uses is not None and self.uses >= self.most_uses else "usable"


class JoinRequest(models.Model):
    """A person's wish to be in a group: one that exists, by its code, or a new one, by a name for it."""

    class State(models.TextChoices):
        UNVERIFIED = "unverified", "waits until the e-mail address is verified"
        WAITING = "waiting", "waits for a decision"
        APPROVED = "approved", "approved"
        DECLINED = "declined", "declined"
        WITHDRAWN = "withdrawn", "withdrawn"

    OPEN: ClassVar[tuple[str, ...]] = (State.UNVERIFIED, State.WAITING)

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="join_requests")
    group = models.ForeignKey(Group, null=True, on_delete=models.PROTECT, related_name="join_requests")
    requested_name = models.CharField(max_length=120, blank=True, validators=[validate_name], help_text="Of a group to make.")
    code = models.ForeignKey(JoinCode, null=True, on_delete=models.PROTECT, related_name="requests")
    state = models.CharField(max_length=16, choices=State)
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=320, blank=True)
    note = models.CharField(max_length=400, blank=True, help_text="What who decided tells the person.")
    deployment = models.ForeignKey(Deployment, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("state", "-id")),)
        constraints = (
            models.UniqueConstraint(
                fields=("user", "group"), condition=Q(state__in=("unverified", "waiting")), name="one_open_request_per_group"
            ),
            models.UniqueConstraint(
                fields=("user",),
                condition=Q(state__in=("unverified", "waiting"), group__isnull=True),
                name="one_open_request_for_a_new_group",
            ),
        )

    def __str__(self) -> str:
        return f"{self.user} asks to join {self.place}"

    @property
    def place(self) -> str:
        """Requested group in words. Once a new group is made, that is its name."""
        return self.group.name if self.group else f"a new group “{self.requested_name}”"

    @property
    def is_for_new_group(self) -> bool:
        """True if a group has to be made first."""
        return self.group_id is None

    @property
    def is_open(self) -> bool:
        """True if it is not decided yet."""
        return self.state in self.OPEN

    def decision_path(self) -> str:
        """Return the signed path, valid for a week, at which approvers can decide this request after signing in."""
        return reverse("request_link", args=(signing.dumps(self.pk, salt=DECISION_SALT),))
