"""Models of the access review: scans, lines, findings, unmanaged resources and sign-offs. They hold no secret."""

from django.conf import settings
from django.db import models
from django.db.models import Value
from django.db.models.functions import Coalesce

from control_plane.access.groups.models import Grant, Group, Membership
from control_plane.base.aws import Place


class Mark(models.TextChoices):
    """Mark of a line: how it compares with the database."""

    NOT_IN_DATABASE = "not-in-database", "on AWS but not in the database"
    NOT_ON_AWS = "not-on-aws", "in the database but not on AWS"
    WIDER = "wider", "wider than granted"
    NARROWER = "narrower", "less than granted"
    LETS_IN = "lets-in", "suspended, but AWS lets in"
    DENIED_ONLY = "denied-only", "denied on AWS alone"
    SUSPENDED = "suspended", "suspended"
    DENIED = "denied", "denied"
    ADDING = "adding", "being added"
    REMOVING = "removing", "being removed"


# These mean that AWS and the database disagree; the other marks are expected.
DIFFERENCES = (Mark.NOT_IN_DATABASE, Mark.NOT_ON_AWS, Mark.WIDER, Mark.NARROWER, Mark.LETS_IN, Mark.DENIED_ONLY)


class Scan(models.Model):
    """The last scan of AWS for a group or, without one, for what belongs to no group."""

    group = models.OneToOneField(Group, null=True, on_delete=models.CASCADE, related_name="review_scan")
    asked_at = models.DateTimeField(null=True, db_index=True, help_text="None where it is wanted as soon as can be.")
    finished_at = models.DateTimeField(null=True)
    generation = models.PositiveIntegerField(default=0, help_text="What AWS held of the group's stack then.")
    error = models.CharField(max_length=400, blank=True)

    class Meta:
        db_table = "review_look"
        # A unique constraint on a nullable column alone would allow several rows without a group.
        constraints = (models.UniqueConstraint(Coalesce("group", Value(0)), name="one_scan_each"),)

    def __str__(self) -> str:
        return f"scan of {self.group or 'what belongs to no group'}"


class AccessEntry(models.Model):
    """Access of one person, or of a principal that the database does not know, to one bucket."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="review_lines")
    membership = models.ForeignKey(Membership, null=True, on_delete=models.CASCADE, related_name="review_lines")
    grant = models.ForeignKey(Grant, null=True, on_delete=models.CASCADE, related_name="review_lines")
    principal = models.CharField(max_length=256, help_text="The IAM user or role.")
    bucket = models.CharField(max_length=128, blank=True, help_text="A bucket, or a pattern of several; empty for none at all.")
    prefix = models.TextField(blank=True, help_text="Where in the bucket.")
    can_list = models.BooleanField(default=False)
    can_read = models.BooleanField(default=False)
    can_write = models.BooleanField(default=False)
    can_delete = models.BooleanField(default=False)
    write_to = models.TextField(blank=True, help_text="Where in the bucket it may write.")
    marks = models.JSONField(default=list)
    differs = models.BooleanField(default=False, db_index=True)
    key_last_used_at = models.DateTimeField(null=True, help_text="When IAM last saw a key of the principal's used.")

    class Meta:
        db_table = "review_line"
        ordering = ("group__slug", "membership__user__email", "principal", "bucket", "pk")

    def __str__(self) -> str:
        return f"{self.principal}: {self.bucket or 'nothing'}"

    @property
    def rights(self) -> str:
        """The rights in words."""
        able = (("list", self.can_list), ("read", self.can_read), ("write", self.can_write), ("delete", self.can_delete))
        return ", ".join(word for word, can in able if can) or "nothing"

    @property
    def mark_labels(self) -> list[str]:
        """The marks in words."""
        return [Mark(mark).label for mark in self.marks]


class Finding(models.Model):
    """A difference on AWS from what Cohort makes."""

    class Kind(models.TextChoices):
        """Kind of finding."""

        UNKNOWN_USER = "unknown-user", "a user whom the database does not know"
        FOREIGN_USER = "foreign-user", "a foreign user in the group"
        FOREIGN_POLICY = "foreign-policy", "a policy attached from outside"
        FOREIGN_GROUP = "foreign-group", "a user in another IAM group"
        MISSING = "missing", "a principal that is missing"
        NO_BOUNDARY = "no-boundary", "without Cohort’s permissions boundary"
        UNKNOWN_KEY = "unknown-key", "a key that Cohort did not make"
        TRUST = "trust", "somebody else may assume the role"
        BUCKET_POLICY = "bucket-policy", "a bucket’s own policy lets somebody in"
        BEYOND_S3 = "beyond-s3", "more than files"
        UNREADABLE = "unreadable", "a policy that could not be read"

    scan = models.ForeignKey(Scan, on_delete=models.CASCADE, related_name="findings")
    kind = models.CharField(max_length=16, choices=Kind)
    principal = models.CharField(max_length=256, help_text="Whom or what it is about.")
    membership = models.ForeignKey(Membership, null=True, on_delete=models.CASCADE, related_name="+")
    detail = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.principal}"


class UnmanagedResource(models.Model):
    """A resource that AWS holds under our names and this database does not know: it waits for a decision.

    It may be newer than the backup that was restored. The row is deleted once it is taken over, or AWS no longer holds it.
    """

    class Kind(models.TextChoices):
        """Kind of resource."""

        STACK = "stack", "a stack"
        USER = "user", "an IAM user"
        ROLE = "role", "an IAM role"
        IAM_GROUP = "iam-group", "an IAM group"
        SECRET = "secret", "a secret"

    class State(models.TextChoices):
        """State of the decision."""

        WAITING = "waiting", "waits for a decision"
        REMOVING = "removing", "is being removed"

    kind = models.CharField(max_length=16, choices=Kind)
    name = models.CharField(max_length=256, help_text="As AWS has it.")
    region = models.CharField(max_length=32, blank=True, help_text="Empty for what IAM holds, which has none.")
    path = models.CharField(max_length=512, blank=True, help_text="The IAM path of a principal.")
    slug = models.CharField(max_length=64, blank=True, help_text="Of the group that it is named for.")
    made_at = models.DateTimeField(null=True, help_text="When AWS says that it was made.")
    found_at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True, help_text="When what it can reach was last read; none where that is yet to come.")
    generation = models.PositiveIntegerField(default=0, help_text="Which manifest a stack holds.")
    status = models.CharField(max_length=64, blank=True, help_text="CloudFormation's own word of a stack.")
    manifest = models.TextField(blank=True, help_text="The manifest that a stack stands for, as far as it can be told.")
    names_everybody = models.BooleanField(default=False, help_text="Whether the manifest names members without a key too.")
    reach = models.JSONField(default=list, help_text="What it can reach now: bucket, rights.")
    users = models.JSONField(default=list, help_text="IAM users in it: name, keys that work, last_used_at.")
    problem = models.CharField(max_length=500, blank=True, help_text="Why it cannot be taken over, or was not read.")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    decided_by = models.CharField(max_length=320, blank=True)
    error = models.CharField(max_length=500, blank=True, help_text="Why it could not be removed at the last try.")

    class Meta:
        ordering = ("kind", "name", "pk")
        constraints = (models.UniqueConstraint(fields=("kind", "name", "region"), name="one_unmanaged_resource_each"),)

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> Place:
        """The account and region that it is in; the site's region for what IAM holds."""
        site = Place.of_site()
        return Place(site.account, self.region or site.region)

    @property
    def working_keys(self) -> int:
        """The number of its active access keys."""
        return sum(int(user["keys"]) for user in self.users)


class SignOff(models.Model):
    """A manager's confirmation of who can reach what in their group. Never changed."""

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="sign_offs")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    by = models.CharField(max_length=320)
    at = models.DateTimeField(auto_now_add=True)
    note = models.CharField(max_length=1000, blank=True)
    looked_at = models.DateTimeField()
    counts = models.JSONField()
    differences = models.JSONField(help_text="What differed, in words, by principals’ names.")
    lines = models.JSONField(help_text="Each line that was signed: opaque username or principal, bucket, where, rights, marks.")

    class Meta:
        ordering = ("-at", "-pk")
        indexes = (models.Index(fields=("group", "-at")),)

    def __str__(self) -> str:
        return f"{self.group}, {self.at:%Y-%m-%d}"


class Reminder(models.Model):
    """A reminder that was sent to a group's managers: a review is due for the period since `since`."""

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("group", "since"), name="one_review_reminder_a_period"),)

    def __str__(self) -> str:
        return f"{self.group}: {self.since:%Y-%m-%d}"
