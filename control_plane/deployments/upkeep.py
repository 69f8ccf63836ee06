"""Periodic maintenance of deployments: abandoned runs, stacks out of step, drift checks, old previews."""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from control_plane.audit.actors import Actor
from control_plane.config import config
from control_plane.deployments import claims
from control_plane.deployments.models import Change, Deployment, DriftState, Failure, Preview, Stack
from control_plane.deployments.requests import lock, queue
from control_plane.deployments.tasks import check_drift

logger = logging.getLogger("cohort.sweep")

# What failed for a passing reason, six times over, is taken up again: an outage may last longer than that.
OUTAGE_WAIT = timedelta(minutes=30)
# Hours (UTC) in which stacks are checked that were not for a day.
NIGHT = range(1, 5)
CHECK_AGE = timedelta(hours=20)
CHECK_PATIENCE = timedelta(minutes=15)
MOST_AT_ONCE = 50
PREVIEWS_KEPT = timedelta(days=1)


def bring_forgotten() -> None:
    """Queue what is out of step, and say so."""
    for deployment in take_up_forgotten():
        logger.warning("%s: was out of step with nothing on its way; deployment %s brings it", deployment.stack, deployment.pk)


def check_drift_by_night() -> None:
    """As `check_by_night`, where the site wants it."""
    if config().cohort_drift_check:
        check_by_night()


def forget_previews() -> None:
    """Remove the previews that nobody looks at any more."""
    Preview.objects.filter(created_at__lt=timezone.now() - PREVIEWS_KEPT).delete()


def take_over_abandoned() -> None:
    """Put back the runs whose worker has gone, and say so."""
    for deployment in claims.recover_abandoned():
        logger.warning("%s: its worker has gone; it goes on in deployment %s", deployment.stack, deployment.pk)


def take_up_forgotten() -> list[Deployment]:
    """Queue the stacks that are out of step, with nothing on its way and nobody to wait for. Returns the new deployments."""
    recent = timezone.now() - OUTAGE_WAIT
    settled = Q(state=Deployment.State.CANCELLED) | Q(state=Deployment.State.FAILED, failure__in=("", Failure.PERMANENT))
    settled |= Q(state=Deployment.State.FAILED, finished_at__gt=recent)
    newest = Deployment.objects.filter(stack=OuterRef("stack")).order_by("-pk").values("pk")[:1]
    waits_for_somebody = Deployment.objects.filter(settled, stack=OuterRef("pk"), generation=OuterRef("generation"), pk=newest)
    on_its_way = Deployment.objects.open().filter(stack=OuterRef("pk"))
    forgotten = Stack.objects.out_of_step().filter(~Exists(on_its_way), ~Exists(waits_for_somebody))
    started = []
    for pk in forgotten.values_list("pk", flat=True)[:MOST_AT_ONCE]:
        with transaction.atomic():
            stack = lock(pk)
            if stack.is_up_to_date or Deployment.objects.open().filter(stack=stack).exists():
                continue
            deployment, actor = queue(stack), Actor.system("sweep")
            Change.objects.create(
                deployment=deployment,
                generation=stack.generation,
                summary=f"Bringing {stack.title} to what is wanted",
                actor=actor.label,
            )
            started.append(deployment)
    return started


def compare_restored() -> None:
    """Have the stacks of a restored database compared with AWS, once each."""
    unseen = Q(known_generation__isnull=False, drift_checked_at__isnull=True, generation__gt=0)
    for pk in Stack.objects.filter(unseen).values_list("pk", flat=True)[:MOST_AT_ONCE]:
        if Stack.objects.filter(unseen, pk=pk).update(drift_state=DriftState.CHECKING, drift_checked_at=timezone.now()):
            check_drift.enqueue(pk)


def check_by_night(*, at_any_hour: bool = False) -> int:
    """Enqueue the checks that are due, a few at a time. Returns how many."""
    now = timezone.now()
    stuck = Q(drift_state=DriftState.CHECKING, drift_checked_at__lt=now - CHECK_PATIENCE)
    old = Q(drift_checked_at__isnull=True) | Q(drift_checked_at__lt=now - CHECK_AGE)
    is_time = at_any_hour or now.hour in NIGHT
    due = (old & ~Q(drift_state=DriftState.CHECKING)) | stuck if is_time else stuck
    # No more than a worker checks within the patience, or the same ones would be enqueued again and again.
    room = max(0, MOST_AT_ONCE - Stack.objects.filter(drift_state=DriftState.CHECKING).exclude(stuck).count())
    started = 0
    deployed = Stack.objects.filter(due, deployed_generation=F("generation"), generation__gt=0)
    for pk in deployed.values_list("pk", flat=True)[:room]:
        # Whoever changes the row checks it: two workers never both do.
        if Stack.objects.filter(due, pk=pk).update(drift_state=DriftState.CHECKING, drift_checked_at=now):
            check_drift.enqueue(pk)
            started += 1
    return started
