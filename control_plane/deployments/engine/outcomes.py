"""Ends of runs, recorded in the transaction that releases the lease: a run whose lease is lost changes nothing."""

import logging
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from control_plane.base.audit.actors import Actor
from control_plane.base.config import config
from control_plane.deployments import counters
from control_plane.deployments.announcements import announce
from control_plane.deployments.backoff import MAX_TRIES, backoff
from control_plane.deployments.cloudformation import Observation
from control_plane.deployments.engine import leases
from control_plane.deployments.engine.heartbeat import LeaseLost
from control_plane.deployments.failures import DeploymentProblem
from control_plane.deployments.leftovers import Leftover
from control_plane.deployments.lockout_words import describe_active_lockout
from control_plane.deployments.models import Deployment, DriftState, Failure, Stack
from control_plane.deployments.signals import deployment_failed, deployment_succeeded
from control_plane.deployments.tasks import check_drift
from control_plane.deployments.withdrawal import withdraw

logger = logging.getLogger("cohort.engine")


def record_success(deployment: Deployment, observation: Observation, digest: str) -> None:
    """Record that CloudFormation holds what was wanted. Raises LeaseLost."""
    stack = {
        "deployed_generation": deployment.generation,
        "status": observation.status,
        "outputs": observation.outputs,
        "template_digest": digest,
        "drift_state": DriftState.UNKNOWN,
        "drift": [],
        "known_generation": None,
        "newer_generation": 0,
        "leftovers": [],
        "change_began_after": "",
    }
    with transaction.atomic():
        _release(deployment, **stack)
        if deployment.revert_drift:
            # Verifies that everything was put back.
            check_drift.enqueue(deployment.stack_id)
        _end(
            deployment,
            Deployment.State.SUCCEEDED,
            cloudformation_status=observation.status,
            outputs=observation.outputs,
            failure="",
            revert_drift=False,
        )
        announce(deployment, Deployment.State.SUCCEEDED.value)
        deployment_succeeded.send(sender=Deployment, deployment=deployment, observation=observation)


def record_failure(
    deployment: Deployment, problem: DeploymentProblem, observation: Observation | None, left: Sequence[Leftover] | None = None
) -> Deployment | None:
    """Record a failed try. Returns the deployment that goes on by itself, or None if somebody has to act. Raises LeaseLost.

    `left` is what AWS still holds that should be removed; None if that was not checked since the try changed anything.
    """
    status = observation.status if observation else deployment.cloudformation_status
    fields: dict[str, Any] = {"error": problem.error, "advice": problem.advice, "failure": problem.kind}
    fields |= {"cloudformation_status": status, "stages": deployment.stages}
    with transaction.atomic():
        _release(deployment, **({"status": observation.status} if observation else {}), **_remembered(left))
        if problem.kind == Failure.PERMANENT or deployment.attempts >= MAX_TRIES:
            if problem.kind != Failure.PERMANENT:
                fields["advice"] = f"{problem.advice} It was tried {deployment.attempts} times; it is tried again in half an hour."
            _end(deployment, Deployment.State.FAILED, **fields)
            announce(deployment, Deployment.State.FAILED.value)
            reasons = {resource.logical_id: resource.reason for resource in problem.resources}
            deployment_failed.send(sender=Deployment, deployment=deployment, reasons=reasons)
            return None
        fields |= {"revert_drift": deployment.revert_drift or problem.revert_drift}
        _set(deployment, **fields)
        counters.add("tries", problem.kind)
        # A repairable failure is tried again at once; a retryable one needs time to pass.
        wait = backoff(deployment.attempts, config().cohort_retry_seconds) if problem.kind == Failure.RETRYABLE else 0.0
        return leases.requeue(deployment, seconds=wait)


def record_cancellation(
    deployment: Deployment, by: str, observation: Observation | None, left: Sequence[Leftover] | None = None
) -> None:
    """Record a cancelled run, of which nothing more is asked of AWS. `left` as for `record_failure`. Raises LeaseLost."""
    fields: dict[str, Any] = _remembered(left)
    held = "AWS holds what it held before."
    if observation and observation.status:
        fields |= {"status": observation.status}
        held = f"AWS has generation {observation.generation} ({observation.status})."
        if observation.is_complete and not left and deployment.from_generation < observation.generation <= deployment.generation:
            # A change that an earlier worker began was complete before it could be taken back.
            fields["deployed_generation"] = observation.generation
    with transaction.atomic():
        _release(deployment, **fields)
        _end(
            deployment,
            Deployment.State.CANCELLED,
            error=f"Cancelled by {by}.",
            cloudformation_status=observation.status if observation else "",
        )
        withdrawal = withdraw(deployment, actor=Actor(by, "system"))
        stack = Stack.objects.get(pk=deployment.stack_id)
        sentences = (held, describe_active_lockout(stack), withdrawal.sentence(stack))
        _set(deployment, advice=" ".join(sentence for sentence in sentences if sentence))
        announce(deployment, Deployment.State.CANCELLED.value)
        if "deployed_generation" in fields:
            deployment_succeeded.send(sender=Deployment, deployment=deployment, observation=observation)


def record_approval_wait(deployment: Deployment) -> None:
    """Record that a second administrator has to approve the plan first. Raises LeaseLost."""
    with transaction.atomic():
        _release(deployment)
        if Deployment.objects.filter(stack=deployment.stack_id, state__in=Deployment.WAITING).exists():
            # More was asked for meanwhile, so this plan is not the one to approve.
            leases.requeue(deployment, keep_try=False)
            return
        _set(deployment, state=Deployment.State.APPROVAL, attempts=deployment.attempts - 1, doing="", worker="")
        announce(deployment, "approval")


def record_hand_over(deployment: Deployment) -> None:
    """Hand the run over, since this worker stops: the next one sees what AWS did, and goes on. Raises LeaseLost."""
    with transaction.atomic():
        _release(deployment)
        leases.requeue(deployment, keep_try=False)


def _remembered(left: Sequence[Leftover] | None) -> dict[str, Any]:
    """Return the stack's fields that remember leftovers; none if they were not checked."""
    return {} if left is None else {"leftovers": [leftover.to_json() for leftover in left], "change_began_after": ""}


def _release(deployment: Deployment, **stack_fields: object) -> None:
    if not leases.release(deployment, **stack_fields):
        raise LeaseLost


def _end(deployment: Deployment, state: Deployment.State, **fields: Any) -> None:
    """Record the end, and count it. `fields` are the deployment's. The caller announces it once all of it is recorded."""
    ended = {"state": state, "finished_at": timezone.now(), "doing": "", "percent": 100, "stages": deployment.stages}
    _set(deployment, **ended, **{key: value for key, value in fields.items() if key != "stages"})
    if deployment.stages:
        counters.add_each("stage", deployment.stages)
    counters.add("outcome", state.value)


def _set(deployment: Deployment, **fields: Any) -> None:
    Deployment.objects.filter(pk=deployment.pk).update(**fields)
    for name, value in fields.items():
        setattr(deployment, name, value)
