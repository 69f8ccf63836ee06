"""Who works on which stack: leases in the stack's row, so that one deployment at a time runs for each."""

import os
import socket
import uuid
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from control_plane.config import config
from control_plane.deployments.models import Change, Deployment, Stack
from control_plane.deployments.requests import queue_again

WORKER = f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:6]}"

ABANDONED = "The worker that ran this deployment stopped before it ended."
ABANDONED_ADVICE = "What AWS did meanwhile is looked at by the next run, which was started by itself."


def claim_next(worker: str) -> Deployment | None:
    """Take the longest-waiting deployment whose stack is free, mark it running and return it; None if none waits."""
    now = timezone.now()
    free = Q(stack__lease_expires_at__isnull=True) | Q(stack__lease_expires_at__lt=now)
    with transaction.atomic():
        waiting = Deployment.objects.filter(free, state=Deployment.State.QUEUED).exclude(
            stack__in=Deployment.objects.filter(state=Deployment.State.RUNNING).values("stack")
        )
        deployment = waiting.select_for_update(of=("self",), skip_locked=True).order_by("id").first()
        if deployment is None:
            return None
        stack = Stack.objects.select_for_update().get(pk=deployment.stack_id)
        stack.lease_owner, stack.lease_expires_at = worker, _expiry(now)
        stack.save(update_fields=["lease_owner", "lease_expires_at"])
        deployment.stack = stack
        deployment.state = Deployment.State.RUNNING
        deployment.generation = stack.generation
        deployment.started_at = now
        deployment.worker = worker
        deployment.doing = "Starting"
        deployment.save(update_fields=["state", "generation", "started_at", "worker", "doing"])
    return deployment


def keep_alive(deployment: Deployment) -> bool:
    """Prolong the lease. False if it was lost, so that the worker must stop touching the stack."""
    return bool(
        Stack.objects.filter(pk=deployment.stack_id, lease_owner=deployment.worker).update(lease_expires_at=_expiry(timezone.now()))
    )


def give_up_abandoned() -> list[Deployment]:
    """End the runs whose worker let its lease expire, and queue their stacks again. Returns the new deployments."""
    with transaction.atomic():
        lost = list(
            Deployment.objects.select_for_update(of=("self",), skip_locked=True)
            .filter(state=Deployment.State.RUNNING, stack__lease_expires_at__lt=timezone.now())
            .select_related("stack")
        )
        return [_start_over(deployment) for deployment in lost]


def next_expiry() -> datetime | None:
    """When the first lease that is held now runs out, if any is held."""
    running = Deployment.objects.filter(state=Deployment.State.RUNNING, stack__lease_expires_at__isnull=False)
    return running.order_by("stack__lease_expires_at").values_list("stack__lease_expires_at", flat=True).first()


def _start_over(lost: Deployment) -> Deployment:
    lost.state = Deployment.State.FAILED
    lost.finished_at = timezone.now()
    lost.error, lost.advice, lost.doing, lost.percent = ABANDONED, ABANDONED_ADVICE, "", 100
    lost.save(update_fields=["state", "finished_at", "error", "advice", "doing", "percent"])
    Stack.objects.filter(pk=lost.stack_id).update(lease_owner="", lease_expires_at=None)
    successor = queue_again(lost.stack)
    # Both runs keep what they were for: the one that ended as its history, the new one as its task.
    Change.objects.bulk_create(_copy(change, successor) for change in lost.changes.all())
    return successor


def _copy(change: Change, deployment: Deployment) -> Change:
    return Change(
        deployment=deployment,
        generation=change.generation,
        summary=change.summary,
        actor=change.actor,
        actor_user=change.actor_user,
    )


def _expiry(now: datetime) -> datetime:
    return now + timedelta(seconds=config().cohort_lease_seconds)
