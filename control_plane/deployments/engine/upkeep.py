"""Periodic maintenance of deployments: abandoned runs, stacks out of step, old previews."""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from control_plane.base.audit.actors import Actor
from control_plane.deployments.engine import leases
from control_plane.deployments.models import Change, Deployment, Failure, Preview, Stack
from control_plane.deployments.requests import lock, queue_deployment

logger = logging.getLogger("cohort.sweep")

# A retryable failure that used up its tries is queued again after this time: an outage may last longer than the tries.
OUTAGE_WAIT = timedelta(minutes=30)
MAX_STACKS_AT_ONCE = 50
PREVIEWS_KEPT = timedelta(days=1)


def requeue_out_of_step() -> None:
    """Queue the stacks that are out of step, and log each."""
    for deployment in queue_out_of_step():
        logger.warning("%s: was out of step with nothing on its way; deployment %s brings it", deployment.stack, deployment.pk)


def forget_previews() -> None:
    """Delete the previews that are older than PREVIEWS_KEPT."""
    Preview.objects.filter(created_at__lt=timezone.now() - PREVIEWS_KEPT).delete()


def take_over_abandoned() -> None:
    """Requeue the runs whose worker has gone, and log each."""
    for deployment in leases.recover_abandoned():
        logger.warning("%s: its worker has gone; it goes on in deployment %s", deployment.stack, deployment.pk)


def queue_out_of_step() -> list[Deployment]:
    """Queue the stacks that are out of step, if no deployment is open and none waits for somebody. Returns the new deployments."""
    recent = timezone.now() - OUTAGE_WAIT
    settled = Q(state=Deployment.State.CANCELLED) | Q(state=Deployment.State.FAILED, failure__in=("", Failure.PERMANENT))
    settled |= Q(state=Deployment.State.FAILED, finished_at__gt=recent)
    newest = Deployment.objects.filter(stack=OuterRef("stack")).order_by("-pk").values("pk")[:1]
    waits_for_somebody = Deployment.objects.filter(settled, stack=OuterRef("pk"), generation=OuterRef("generation"), pk=newest)
    on_its_way = Deployment.objects.open().filter(stack=OuterRef("pk"))
    out_of_step = Stack.objects.out_of_step().filter(~Exists(on_its_way), ~Exists(waits_for_somebody))
    started = []
    for pk in out_of_step.values_list("pk", flat=True)[:MAX_STACKS_AT_ONCE]:
        with transaction.atomic():
            stack = lock(pk)
            if stack.is_up_to_date or Deployment.objects.open().filter(stack=stack).exists():
                continue
            deployment, actor = queue_deployment(stack), Actor.system("sweep")
            Change.objects.create(
                deployment=deployment,
                generation=stack.generation,
                summary=f"Bringing {stack.title} to what is wanted",
                actor=actor.label,
            )
            started.append(deployment)
    return started
