"""Desired and observed state of each CloudFormation stack, and the record of every run that brought the two together."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from control_plane.base.aws import Place
from stacks.manifest import GroupManifest, PlatformManifest, parse


class DriftState(models.TextChoices):
    """Drift of a stack: how AWS compares with what was deployed."""

    UNKNOWN = "unknown", "not checked yet"
    CHECKING = "checking", "being checked"
    IN_SYNC = "in-sync", "as deployed"
    DRIFTED = "drifted", "changed outside Cohort"
    MISSING = "missing", "the stack is not there"
    FAILED = "failed", "could not be checked"


class StackQuerySet(models.QuerySet["Stack"]):
    """Queries of stacks."""

    def out_of_step(self) -> "StackQuerySet":
        """Return the stacks whose wanted generation AWS was not yet seen to hold."""
        return self.filter(deployed_generation__lt=F("generation"))


class Stack(models.Model):
    """A CloudFormation stack: a group's, or one that holds analysis buckets.

    `generation` counts what people wanted, `deployed_generation` is what CloudFormation was last seen to hold. Whoever works
    on the stack holds its lease, and `lease_expires_at` frees it if that worker dies.
    """

    class Kind(models.TextChoices):
        GROUP = "group"
        PLATFORM = "platform"

    name = models.CharField(max_length=128, unique=True)
    kind = models.CharField(max_length=16, choices=Kind)
    title = models.CharField(max_length=200, help_text="What people call it.")
    account = models.CharField(max_length=12)
    region = models.CharField(max_length=32)
    generation = models.PositiveIntegerField(default=0)
    deployed_generation = models.PositiveIntegerField(default=0)
    status = models.CharField(max_length=64, blank=True, help_text="CloudFormation's own word, when last seen.")
    outputs = models.JSONField(default=dict)
    lease_owner = models.CharField(max_length=128, blank=True)
    lease_expires_at = models.DateTimeField(null=True)
    is_retired = models.BooleanField(
        default=False, help_text="Whether AWS is to hold it no more: its next deployment removes it instead."
    )
    last_started_at = models.DateTimeField(
        null=True, help_text="When a run last began; the next one leaves time for changes to join it."
    )
    template_digest = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the template that was last deployed.")
    drift_state = models.CharField(max_length=16, choices=DriftState, default=DriftState.UNKNOWN)
    drift_checked_at = models.DateTimeField(null=True)
    drift = models.JSONField(default=list, help_text="What differs on AWS from what was deployed, as `drift.Difference`s.")
    adopted_key_ids = models.JSONField(
        default=list, help_text="Access keys that its users have beside those that it makes, by their ids: they are no drift."
    )
    leftovers = models.JSONField(
        default=list, help_text="What CloudFormation could not remove and AWS still holds, as `leftovers.Leftover`s."
    )
    change_began_after = models.TextField(
        blank=True, help_text="The stack's newest event before a change whose end is not recorded yet; empty if there is none."
    )
    known_generation = models.PositiveIntegerField(
        null=True,
        help_text="Up to which generation AWS may be ahead of what was deployed, in a restored database; none usually.",
    )
    newer_generation = models.PositiveIntegerField(
        default=0, help_text="What AWS holds that this database never asked for: nothing is deployed until somebody decides."
    )

    denied_generation = models.PositiveIntegerField(
        default=0, help_text="The wish whose denials were put on AWS ahead of its deployment, and seen there."
    )
    denied_at = models.DateTimeField(null=True, help_text="When that was.")

    objects = StackQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(condition=Q(deployed_generation__lte=F("generation")), name="stack_deployed_at_most_wanted"),
        )
        indexes = (models.Index(fields=("id",), name="stack_out_of_step", condition=Q(deployed_generation__lt=F("generation"))),)

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> Place:
        """The account and region that it is deployed to."""
        return Place(self.account, self.region)

    @property
    def is_up_to_date(self) -> bool:
        """True if CloudFormation was seen to hold the wanted generation."""
        return self.generation == self.deployed_generation

    @property
    def needs_decision(self) -> bool:
        """True if AWS holds a generation that this database does not know, as after a backup was restored."""
        return self.newer_generation > 0


class StoredManifestQuerySet(models.QuerySet["StoredManifest"]):
    """Manifests by stack and generation, in one query each."""

    def text_at(self, stack: Stack, generation: int) -> str:
        """Return the manifest's JSON text; empty where there is none."""
        return self.filter(stack=stack, generation=generation).values_list("text", flat=True).first() or ""

    def at(self, stack: Stack, generation: int) -> GroupManifest | PlatformManifest | None:
        """Return the manifest, None where there is none. Raises ManifestError."""
        text = self.text_at(stack, generation)
        return parse(text) if text else None

    def group_at(self, stack: Stack, generation: int) -> GroupManifest | None:
        """Return a group's manifest; None where there is none, or where the stack is no group's. Raises ManifestError."""
        manifest = self.at(stack, generation)
        return manifest if isinstance(manifest, GroupManifest) else None


class StoredManifest(models.Model):
    """The manifest of one generation, made in the transaction that bumped it. The worker publishes the one that it deploys."""

    stack = models.ForeignKey(Stack, on_delete=models.CASCADE, related_name="manifests")
    generation = models.PositiveIntegerField()
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    objects = StoredManifestQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("stack", "generation"), name="one_manifest_per_generation"),)

    def __str__(self) -> str:
        return f"{self.stack} generation {self.generation}"


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    """Queries of deployments."""

    def open(self) -> "DeploymentQuerySet":
        """Return the deployments that have not ended."""
        return self.filter(state__in=Deployment.OPEN)

    def urgent_first(self) -> "DeploymentQuerySet":
        """Order by urgency: failed without a later deployment, then under way, then the rest; newest first within each."""
        mended = Deployment.objects.filter(stack=models.OuterRef("stack"), pk__gt=models.OuterRef("pk"))
        rank = models.Case(
            models.When(Q(state=Deployment.State.FAILED) & ~models.Exists(mended), then=0),
            models.When(state=Deployment.State.APPROVAL, then=1),
            models.When(state=Deployment.State.RUNNING, then=2),
            models.When(state=Deployment.State.QUEUED, then=3),
            default=4,
        )
        return self.order_by(rank, "-pk")


class Failure(models.TextChoices):
    """Kind of a try's failure, which decides what follows."""

    RETRYABLE = "retryable", "tried again by itself"
    REPAIRABLE = "repairable", "repaired and tried again by itself"
    PERMANENT = "permanent", "waits for somebody"


class Deployment(models.Model):
    """One run that brings a stack to its desired state. Changes made while it waits join it; later ones wait for the next."""

    class State(models.TextChoices):
        QUEUED = "queued", "waiting"
        APPROVAL = "approval", "waiting for approval"
        RUNNING = "running", "under way"
        SUCCEEDED = "succeeded", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"
        SUPERSEDED = "superseded", "went on in a later one"

    OPEN: ClassVar[tuple[str, ...]] = (State.QUEUED, State.APPROVAL, State.RUNNING)
    WAITING: ClassVar[tuple[str, ...]] = (State.QUEUED, State.APPROVAL)

    stack = models.ForeignKey(Stack, on_delete=models.PROTECT, related_name="deployments")
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    generation = models.PositiveIntegerField(help_text="The newest generation that this run covers.")
    from_generation = models.PositiveIntegerField(
        default=0, help_text="What AWS held when the run began; it covers those after it."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=128, blank=True)
    doing = models.CharField(max_length=200, blank=True, help_text="What is being done now.")
    percent = models.PositiveSmallIntegerField(default=0, help_text="How far it is; an end, good or bad, is 100.")
    resources_done = models.PositiveIntegerField(default=0)
    resources_total = models.PositiveIntegerField(default=0)
    cloudformation_status = models.CharField(max_length=64, blank=True)
    outputs = models.JSONField(default=dict)
    error = models.TextField(blank=True, help_text="What happened.")
    advice = models.TextField(blank=True, help_text="What was not changed, and what to do next.")
    failure = models.CharField(max_length=16, choices=Failure, blank=True, help_text="What kind of failure the last try met.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Tries begun.")
    not_before = models.DateTimeField(null=True, help_text="A further try waits until then.")
    resources = models.JSONField(default=list, help_text="Each resource that changes: logical_id, type, action, state, reason.")
    stages = models.JSONField(default=dict, help_text="Seconds spent in each stage.")
    plan = models.JSONField(default=dict, help_text="What CDK's own diff says will change, as `plans.Plan`.")
    revert_drift = models.BooleanField(default=False, help_text="Whether it also puts back what was changed outside Cohort.")
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by = models.CharField(max_length=320, blank=True)
    approved_at = models.DateTimeField(null=True)
    approved_by = models.CharField(max_length=320, blank=True)
    approved_generation = models.PositiveIntegerField(default=0, help_text="What was approved; a later change needs it anew.")
    superseded_by = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("state", "id")), models.Index(fields=("stack", "-id")))
        constraints = (
            models.UniqueConstraint(
                fields=("stack",), condition=Q(state__in=("queued", "approval")), name="one_waiting_deployment_per_stack"
            ),
            models.UniqueConstraint(fields=("stack",), condition=Q(state="running"), name="one_running_deployment_per_stack"),
        )

    def __str__(self) -> str:
        return f"Deployment {self.pk} of {self.stack}"

    def get_absolute_url(self) -> str:
        return reverse("deployments:detail", args=(self.pk,))

    @property
    def lease(self) -> str:
        """The lease owner that its worker writes into the stack's row while it runs: a different one for each try."""
        return f"{self.worker}/{self.pk}/{self.attempts}"

    def log_line(self, text: str) -> None:
        """Add one line to the log. While the deployment runs, only its worker may."""
        last = self.log.order_by("-number").values_list("number", flat=True).first() or 0
        LogLine.objects.create(deployment=self, number=last + 1, text=text)

    @property
    def took(self) -> str:
        """The run's duration in words: '6 s', '2 min 5 s'; empty if it did not run or has not ended."""
        if not (self.started_at and self.finished_at):
            return ""
        minutes, seconds = divmod(round((self.finished_at - self.started_at).total_seconds()), 60)
        return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"

    @property
    def is_open(self) -> bool:
        """True until it has ended."""
        return self.state in self.OPEN


class Change(models.Model):
    """One thing that somebody wanted, and the deployment that carries it out."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="changes")
    generation = models.PositiveIntegerField()
    summary = models.CharField(max_length=400, help_text="In a person's words, such as 'Giving ada access to Example Lab'.")
    actor = models.CharField(max_length=320)
    actor_user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("generation", "id")

    def __str__(self) -> str:
        return self.summary


class LogLine(models.Model):
    """One line of what a deployment printed, in order from 1."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="log")
    number = models.PositiveIntegerField()
    at = models.DateTimeField(auto_now_add=True)
    text = models.TextField()

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=("deployment", "number"), name="log_line_once"),)

    def __str__(self) -> str:
        return self.text

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON data, for commands."""
        return {"number": self.number, "at": self.at.isoformat(), "text": self.text}


class Preview(models.Model):
    """Effects of a change on AWS, worked out by a worker before anybody asks for the change itself."""

    class State(models.TextChoices):
        WAITING = "waiting", "being worked out"
        DONE = "done", "ready"
        FAILED = "failed", "failed"

    stack_name = models.CharField(max_length=128)
    title = models.CharField(max_length=400, help_text="The change in a person's words.")
    manifest = models.TextField()
    base = models.TextField(blank=True, help_text="The manifest that AWS holds now; empty where there is none yet.")
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    plan = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"Preview of {self.title}"


class Worker(models.Model):
    """A worker that lives, or lived a short while ago, and what it says it is doing."""

    name = models.CharField(max_length=128, unique=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)
    doing = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Counter(models.Model):
    """A running count for the metrics: how many, and how many seconds they took. Only ever added to."""

    name = models.CharField(max_length=64, help_text="The metric, such as 'stage' or 'outcome'.")
    label = models.CharField(max_length=64)
    count = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0)

    class Meta:
        db_table = "deployments_tally"
        constraints = (models.UniqueConstraint(fields=("name", "label"), name="one_tally_per_label"),)

    def __str__(self) -> str:
        return f"{self.name} {self.label}: {self.count}"
