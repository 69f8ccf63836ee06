"""Leases of stacks, in the stack's row: one deployment at a time runs for each.

Every comparison of times is made by the database with its own clock: hosts whose clocks differ do no harm.
"""

import os
import socket
import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils import timezone

from control_plane.base.audit.actors import Actor
from control_plane.base.config import config
from control_plane.deployments.announcements import announce
from control_plane.deployments.backoff import MAX_TRIES
from control_plane.deployments.models import Change, Deployment, Stack
from control_plane.deployments.requests import announce_cancelled
from control_plane.deployments.withdrawal import withdraw_and_advise

WORKER = f"{socket.gethostname()[:40]}:{os.getpid()}:{uuid.uuid4().hex[:6]}"

ABANDONED = "The worker that ran this stopped before it ended; another one goes on."
WORN_OUT = f"It was begun {MAX_TRIES} times, and each time the worker stopped before it ended."
WORN_OUT_ADVICE = "Look into the workers’ logs for why; AWS may be changed in part. Then deploy again."


def claim(worker: str, limit: int) -> list[Deployment]:
    """Claim up to `limit` of the longest-waiting deployments whose stacks are free, and mark them running."""
    with transaction.atomic():
        return [_take(deployment, worker) for deployment in _waiting()[:limit]]


def has_waiting() -> bool:
    """Return whether there is anything to claim now, by one cheap query without a write."""
    return _free().exists()


def confirm(deployment: Deployment, **stack_fields: object) -> bool:
    """Renew the lease, set these fields of the stack with it, and return whether the lease is still ours.

    If it is not, nothing was set, and the stack must not be touched any more.
    """
    return bool(_held([deployment]).update(lease_expires_at=in_seconds(config().cohort_lease_seconds), **stack_fields))


def renew(deployments: Sequence[Deployment]) -> set[int]:
    """Renew all these leases. Returns the deployments (by primary key) whose lease is not ours any more."""
    if not deployments:
        return set()
    _held(deployments).update(lease_expires_at=in_seconds(config().cohort_lease_seconds))
    held = set(_held(deployments).values_list("lease_owner", flat=True))
    return {deployment.pk for deployment in deployments if deployment.lease not in held}


def release(deployment: Deployment, **stack_fields: object) -> bool:
    """End the lease, if it is still ours, and set these fields of the stack with it. Needs the transaction of the record."""
    return bool(_held([deployment]).update(lease_owner="", lease_expires_at=None, **stack_fields))


def requeue(deployment: Deployment, *, seconds: float = 0, keep_try: bool = True) -> Deployment:
    """Queue a run that did not end again, in the same deployment or in the one that waits for the stack already.

    `keep_try=False` does not count the try: it was handed over rather than failed. Needs a transaction in which the stack's
    lease was released. Returns the deployment that goes on.
    """
    Stack.objects.select_for_update().get(pk=deployment.stack_id)
    if by := Deployment.objects.filter(pk=deployment.pk, cancel_requested_at__isnull=False).values_list(
        "cancel_requested_by", flat=True
    ):
        _cancel(deployment, by[0])
        return deployment
    attempts = deployment.attempts - (0 if keep_try else 1)
    waiting = Deployment.objects.filter(stack=deployment.stack_id, state__in=Deployment.WAITING).first()
    changes = {"not_before": in_seconds(seconds) if seconds else None, "attempts": attempts, "doing": "", "percent": 0}
    if waiting is None:
        Deployment.objects.filter(pk=deployment.pk).update(state=Deployment.State.QUEUED, worker="", **changes)
        deployment.refresh_from_db()
        return deployment
    # More was asked for meanwhile: this run's changes go on in that deployment, and the history keeps both.
    Change.objects.bulk_create(_copy(change, waiting) for change in deployment.changes.all())
    changes |= {"attempts": min(attempts, waiting.attempts), "revert_drift": waiting.revert_drift or deployment.revert_drift}
    Deployment.objects.filter(pk=waiting.pk).update(from_generation=deployment.from_generation, **changes)
    Deployment.objects.filter(pk=deployment.pk).update(
        state=Deployment.State.SUPERSEDED, finished_at=timezone.now(), superseded_by=waiting, doing="", percent=100
    )
    deployment.refresh_from_db()
    return waiting


def recover_abandoned() -> list[Deployment]:
    """Requeue the runs whose lease has expired. Returns the deployments that go on; one that was tried too often fails."""
    with transaction.atomic():
        lost = Deployment.objects.select_for_update(of=("self", "stack"), skip_locked=True).filter(state=Deployment.State.RUNNING)
        expired = list(lost.filter(stack__lease_expires_at__lt=Now()).select_related("stack"))
        return [successor for deployment in expired if (successor := _recover(deployment)) is not None]


def in_seconds(seconds: float) -> Combinable:
    """Return an expression for the database's own time, so many seconds from now."""
    return ExpressionWrapper(Now() + timedelta(seconds=seconds), output_field=DateTimeField())


def _free() -> QuerySet[Deployment]:
    free = Q(stack__lease_expires_at__isnull=True) | Q(stack__lease_expires_at__lt=Now())
    due = Q(not_before__isnull=True) | Q(not_before__lte=Now())
    settled = Q(stack__last_started_at__isnull=True) | Q(stack__last_started_at__lte=in_seconds(-config().cohort_settle_seconds))
    running = Deployment.objects.filter(stack=OuterRef("stack"), state=Deployment.State.RUNNING)
    return Deployment.objects.filter(free, due, settled, ~Exists(running), state=Deployment.State.QUEUED)


def _waiting() -> QuerySet[Deployment]:
    # The stack's row is locked too: requests bump its generation, and two workers must not both claim it.
    return _free().select_for_update(of=("self", "stack"), skip_locked=True).select_related("stack").order_by("id")


def _take(deployment: Deployment, worker: str) -> Deployment:
    stack = deployment.stack
    deployment.state, deployment.worker, deployment.attempts = Deployment.State.RUNNING, worker, deployment.attempts + 1
    deployment.generation, deployment.doing = stack.generation, "Starting"
    deployment.from_generation = stack.deployed_generation
    deployment.started_at, deployment.not_before, deployment.finished_at = timezone.now(), None, None
    deployment.error = deployment.advice = deployment.failure = ""
    deployment.resources, deployment.stages, deployment.plan = [], {}, {}
    deployment.save()
    Stack.objects.filter(pk=stack.pk).update(
        lease_owner=deployment.lease, lease_expires_at=in_seconds(config().cohort_lease_seconds), last_started_at=Now()
    )
    return deployment


def _held(deployments: Sequence[Deployment]) -> QuerySet[Stack]:
    return Stack.objects.filter(lease_owner__in=[deployment.lease for deployment in deployments])


def _cancel(deployment: Deployment, by: str) -> None:
    Deployment.objects.filter(pk=deployment.pk).update(
        state=Deployment.State.CANCELLED,
        finished_at=timezone.now(),
        error=f"Cancelled by {by}, between two tries.",
        doing="",
        percent=100,
    )
    deployment.refresh_from_db()
    deployment.advice = f"The group’s page says what AWS holds. {withdraw_and_advise(deployment, actor=Actor(by, 'system'))}"
    deployment.save(update_fields=["advice"])
    announce_cancelled(deployment)


def _recover(deployment: Deployment) -> Deployment | None:
    Stack.objects.filter(pk=deployment.stack_id).update(lease_owner="", lease_expires_at=None)
    deployment.log_line(ABANDONED)
    if deployment.attempts >= MAX_TRIES:
        Deployment.objects.filter(pk=deployment.pk).update(
            state=Deployment.State.FAILED, finished_at=timezone.now(), error=WORN_OUT, advice=WORN_OUT_ADVICE, doing="", percent=100
        )
        deployment.refresh_from_db()
        announce(deployment, Deployment.State.FAILED.value)
        return None
    return requeue(deployment)


def _copy(change: Change, deployment: Deployment) -> Change:
    return Change(
        deployment=deployment,
        generation=change.generation,
        summary=change.summary,
        actor=change.actor,
        actor_user_id=change.actor_user_id,
    )
