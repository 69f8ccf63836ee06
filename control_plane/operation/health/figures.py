"""How the site is doing, read from the database at the moment of asking, so that every process gives the same answer."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, OuterRef, Subquery
from django.utils import timezone

from control_plane.access.limits.headroom import Headroom, list_headroom, nearly_used_up
from control_plane.deployments.liveness import silent_before
from control_plane.deployments.models import Deployment, DriftState, Stack, Tally, Worker
from control_plane.deployments.progress import STAGES
from control_plane.notifications.models import MAX_TRIES, Notice
from control_plane.operation.backups.services import age

# A worker says that it is there far more often than this.
# One that is made each day, and two hours for it.
BACKUP_LATE_SECONDS = 26 * 3600
MAX_WORKERS = 100
# Labels are ours and few; a fault that makes many must not make the page long.
MAX_LABELS = 100
NOT_AS_DEPLOYED = (DriftState.DRIFTED, DriftState.MISSING)


@dataclass(frozen=True)
class Seen:
    """A worker, and whether it was silent for too long."""

    name: str
    started_at: datetime
    seen_at: datetime
    doing: str
    is_silent: bool


@dataclass(frozen=True)
class Counted:
    """A tally: how many, how many seconds in all."""

    label: str
    count: int
    seconds: float

    @property
    def title(self) -> str:
        """What people call it."""
        return STAGES.get(self.label) or dict(Deployment.State.choices).get(self.label, self.label)

    @property
    def mean(self) -> float:
        """Seconds each took on the average."""
        return self.seconds / self.count if self.count else 0.0


@dataclass(frozen=True)
class Figures:
    """What is measured; durations in seconds. `worker_seen` is infinite if no worker is known, as is `backup_age`."""

    waiting: int
    oldest_wait: float
    awaiting_approval: int
    running: int
    out_of_step: int
    drift: dict[str, int]
    stages: list[Counted]
    outcomes: list[Counted]
    workers: list[Seen]
    worker_seen: float
    backup_at: datetime | None
    backup_age: float
    notices_unsent: int
    notices_given_up: int
    quotas: list[Headroom]

    @property
    def scarce(self) -> list[Headroom]:
        """The account's quotas of which little is left."""
        return nearly_used_up(self.quotas)

    @property
    def is_backup_late(self) -> bool:
        """Whether the last backup is older than the alarm bears."""
        return self.backup_age > BACKUP_LATE_SECONDS

    @property
    def drifted(self) -> int:
        """Stacks that AWS holds otherwise than deployed."""
        return sum(self.drift.get(state, 0) for state in NOT_AS_DEPLOYED)


def gather() -> Figures:
    """The figures of now, in a dozen queries however much there is, and three more for each further region."""
    now = timezone.now()
    queue = {
        row["state"]: (row["many"], row["oldest"])
        for row in Deployment.objects.open().order_by().values("state").annotate(many=Count("pk"), oldest=Min("created_at"))
    }
    waiting, oldest = queue.get(Deployment.State.QUEUED, (0, None))
    drift = Stack.objects.order_by().values_list("drift_state").annotate(Count("pk"))
    workers = [_seen(worker, now) for worker in Worker.objects.order_by("-seen_at")[:MAX_WORKERS]]
    unsent = Notice.objects.unsent()
    backup_at = age.recorded()
    return Figures(
        waiting=waiting,
        oldest_wait=_since(oldest, now) if oldest else 0.0,
        awaiting_approval=queue.get(Deployment.State.APPROVAL, (0, None))[0],
        running=queue.get(Deployment.State.RUNNING, (0, None))[0],
        out_of_step=Stack.objects.out_of_step().count(),
        drift=dict(drift),
        stages=_tallies("stage"),
        outcomes=_tallies("outcome"),
        workers=workers,
        worker_seen=_since(workers[0].seen_at, now) if workers else float("inf"),
        backup_at=backup_at,
        backup_age=age.seconds_since(backup_at),
        notices_unsent=unsent.count(),
        notices_given_up=unsent.filter(attempts__gte=MAX_TRIES).count(),
        quotas=list_headroom(),
    )


def stacks_failed() -> int:
    """Stacks whose newest deployment failed, so that nothing has mended them since."""
    newest = Deployment.objects.filter(stack=OuterRef("pk")).order_by("-pk").values("state")[:1]
    return Stack.objects.annotate(newest=Subquery(newest)).filter(newest=Deployment.State.FAILED).count()


def _tallies(name: str) -> list[Counted]:
    rows = Tally.objects.filter(name=name).order_by("label")[:MAX_LABELS]
    return [Counted(row.label, row.count, row.seconds) for row in rows]


def _seen(worker: Worker, now: datetime) -> Seen:
    return Seen(worker.name, worker.started_at, worker.seen_at, worker.doing, worker.seen_at < silent_before(now))


def _since(moment: datetime, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds())
