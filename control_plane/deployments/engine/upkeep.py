"""Periodic maintenance of deployments: abandoned runs, stacks out of step, old previews."""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from control_plane.base.audit.actors import Actor
from control_plane.deployments.engine import leases
from control_plane.deployments.models import Change, Deployment, Failure, Preview, Stack
from control_plane.deployments.requests import lock, queue

logger = logging.getLogger("cohort.sweep")

# What failed for a passing reason, six times over, is taken up again: an outage may last longer than that.
OUTAGE_WAIT = timedelta(minutes=30)
MAX_AT_ONCE = 50
PREVIEWS_KEPT = timedelta(days=1)


def bring_forgotten() -> None:
    """Queue what is out of step, and say so."""
    for deployment in take_up_forgotten():
        logger.warning("%s: was out of step with nothing on its way; deployment %s brings it", deployment.stack, deployment.pk)


def forget_previews() -> None:
    """Remove the previews that nobody looks at any more."""
    Preview.objects.filter(created_at__lt=timezone.now() - PREVIEWS_KEPT).delete()


def take_over_abandoned() -> None:
    """Put back the runs whose worker has gone, and say so."""
    for deployment in leases.recover_abandoned():
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
    for pk in forgotten.values_list("pk", flat=True)[:MAX_AT_ONCE]:
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
