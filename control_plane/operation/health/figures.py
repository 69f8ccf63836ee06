"""Figures of the site's health, read from the database on each request, so that every process gives the same answer."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, OuterRef, Subquery
from django.utils import timezone

from control_plane.access.limits.headroom import Headroom, list_headroom, nearly_used_up
from control_plane.deployments.liveness import silent_before
from control_plane.deployments.models import Counter, Deployment, DriftState, Stack, Worker
from control_plane.deployments.progress import STAGES
from control_plane.notifications.models import MAX_TRIES, Notice
from control_plane.operation.backups.services import age

# A backup is made each day; two hours are allowed for it.
BACKUP_LATE_SECONDS = 26 * 3600
MAX_WORKERS = 100
# Labels are our own and few; an error that makes many must not make the page long.
MAX_LABELS = 100
NOT_AS_DEPLOYED = (DriftState.DRIFTED, DriftState.MISSING)


@dataclass(frozen=True)
class WorkerStatus:
    """State of a worker; `is_silent` if it was last seen too long ago."""

    name: str
    started_at: datetime
    seen_at: datetime
    doing: str
    is_silent: bool


@dataclass(frozen=True)
class CounterTotal:
    """Total of a counter: number, and seconds in all."""

    label: str
    count: int
    seconds: float

    @property
    def title(self) -> str:
        """Label for people."""
        return STAGES.get(self.label) or dict(Deployment.State.choices).get(self.label, self.label)

    @property
    def mean(self) -> float:
        """Average seconds of each."""
        return self.seconds / self.count if self.count else 0.0


@dataclass(frozen=True)
class Figures:
    """All figures; durations in seconds. `worker_seen` is infinite if no worker is known, likewise `backup_age`."""

    waiting: int
    oldest_wait: float
    awaiting_approval: int
    running: int
    out_of_step: int
    drift: dict[str, int]
    stages: list[CounterTotal]
    outcomes: list[CounterTotal]
    workers: list[WorkerStatus]
    worker_seen: float
    backup_at: datetime | None
    backup_age: float
    notices_unsent: int
    notices_given_up: int
    quotas: list[Headroom]

    @property
    def scarce(self) -> list[Headroom]:
        """Quotas of the account that are nearly used up."""
        return nearly_used_up(self.quotas)

    @property
    def is_backup_late(self) -> bool:
        """True if the last backup is older than the alarm allows."""
        return self.backup_age > BACKUP_LATE_SECONDS

    @property
    def drifted(self) -> int:
        """Number of stacks that were changed or removed outside Cohort."""
        return sum(self.drift.get(state, 0) for state in NOT_AS_DEPLOYED)


def gather() -> Figures:
    """Return the present figures, in a dozen queries however much there is, and three more for each further region."""
    now = timezone.now()
    queue = {
        row["state"]: (row["many"], row["oldest"])
        for row in Deployment.objects.open().order_by().values("state").annotate(many=Count("pk"), oldest=Min("created_at"))
    }
    waiting, oldest = queue.get(Deployment.State.QUEUED, (0, None))
    drift = Stack.objects.order_by().values_list("drift_state").annotate(Count("pk"))
    workers = [_worker_status(worker, now) for worker in Worker.objects.order_by("-seen_at")[:MAX_WORKERS]]
    unsent = Notice.objects.unsent()
    backup_at = age.newest_recorded()
    return Figures(
        waiting=waiting,
        oldest_wait=_since(oldest, now) if oldest else 0.0,
        awaiting_approval=queue.get(Deployment.State.APPROVAL, (0, None))[0],
        running=queue.get(Deployment.State.RUNNING, (0, None))[0],
        out_of_step=Stack.objects.out_of_step().count(),
        drift=dict(drift),
        stages=_totals("stage"),
        outcomes=_totals("outcome"),
        workers=workers,
        worker_seen=_since(workers[0].seen_at, now) if workers else float("inf"),
        backup_at=backup_at,
        backup_age=age.seconds_since(backup_at),
        notices_unsent=unsent.count(),
        notices_given_up=unsent.filter(attempts__gte=MAX_TRIES).count(),
        quotas=list_headroom(),
    )


def stacks_failed() -> int:
    """Return the number of stacks whose newest deployment failed."""
    newest = Deployment.objects.filter(stack=OuterRef("pk")).order_by("-pk").values("state")[:1]
    return Stack.objects.annotate(newest=Subquery(newest)).filter(newest=Deployment.State.FAILED).count()


def _totals(name: str) -> list[CounterTotal]:
    rows = Counter.objects.filter(name=name).order_by("label")[:MAX_LABELS]
    return [CounterTotal(row.label, row.count, row.seconds) for row in rows]


def _worker_status(worker: Worker, now: datetime) -> WorkerStatus:
    return WorkerStatus(worker.name, worker.started_at, worker.seen_at, worker.doing, worker.seen_at < silent_before(now))


def _since(moment: datetime, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds())
