"""How a run ends: recorded with the lease in one transaction, so that a run that is not ours any more changes nothing."""

import logging
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from control_plane.base.audit.actors import Actor
from control_plane.base.config import config
from control_plane.deployments import counters
from control_plane.deployments.active_lockout import in_force
from control_plane.deployments.announcements import announce
from control_plane.deployments.backoff import MAX_TRIES, backoff
from control_plane.deployments.cloudformation import Observation
from control_plane.deployments.engine import leases
from control_plane.deployments.engine.heartbeat import LeaseLost
from control_plane.deployments.failures import Problem
from control_plane.deployments.leftovers import Leftover
from control_plane.deployments.models import Deployment, DriftState, Failure, Stack
from control_plane.deployments.signals import deployment_failed, deployment_succeeded
from control_plane.deployments.tasks import check_drift
from control_plane.deployments.withdrawal import withdraw

logger = logging.getLogger("cohort.engine")


def succeeded(deployment: Deployment, observation: Observation, digest: str) -> None:
    """CloudFormation holds what was wanted. Raises LeaseLost."""
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
        _give_back(deployment, **stack)
        if deployment.revert_drift:
            # Whether everything was put right is looked at, not believed.
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


def failed(
    deployment: Deployment, problem: Problem, observation: Observation | None, left: Sequence[Leftover] | None = None
) -> Deployment | None:
    """A try failed. Returns the deployment that goes on by itself, or None if it waits for somebody. Raises LeaseLost.

    `left` is what AWS still holds that should be removed; None if nobody has looked since the try changed anything.
    """
    status = observation.status if observation else deployment.cloudformation_status
    told: dict[str, Any] = {"error": problem.error, "advice": problem.advice, "failure": problem.kind}
    told |= {"cloudformation_status": status, "stages": deployment.stages}
    with transaction.atomic():
        _give_back(deployment, **({"status": observation.status} if observation else {}), **_remembered(left))
        if problem.kind == Failure.PERMANENT or deployment.attempts >= MAX_TRIES:
            if problem.kind != Failure.PERMANENT:
                told["advice"] = f"{problem.advice} It was tried {deployment.attempts} times; it is tried again in half an hour."
            _end(deployment, Deployment.State.FAILED, **told)
            announce(deployment, Deployment.State.FAILED.value)
            reasons = {resource.logical_id: resource.reason for resource in problem.resources}
            deployment_failed.send(sender=Deployment, deployment=deployment, reasons=reasons)
            return None
        told |= {"revert_drift": deployment.revert_drift or problem.revert_drift}
        _set(deployment, **told)
        counters.add("tries", problem.kind)
        # What is repaired needs no patience; what passes by itself does.
        wait = backoff(deployment.attempts, config().cohort_retry_seconds) if problem.kind == Failure.RETRYABLE else 0.0
        return leases.put_back(deployment, seconds=wait)


def cancelled(deployment: Deployment, by: str, observation: Observation | None, left: Sequence[Leftover] | None = None) -> None:
    """Somebody cancelled it, and nothing more is asked of AWS. `left` as for `failed`. Raises LeaseLost."""
    fields: dict[str, Any] = _remembered(left)
    held = "AWS holds what it held before."
    if observation and observation.status:
        fields |= {"status": observation.status}
        held = f"AWS holds generation {observation.generation} ({observation.status})."
        if observation.is_complete and not left and deployment.from_generation < observation.generation <= deployment.generation:
            # What an earlier worker had begun was done before it could be taken back.
            fields["deployed_generation"] = observation.generation
    with transaction.atomic():
        _give_back(deployment, **fields)
        _end(
            deployment,
            Deployment.State.CANCELLED,
            error=f"Cancelled by {by}.",
            cloudformation_status=observation.status if observation else "",
        )
        found = withdraw(deployment, actor=Actor(by, "system"))
        stack = Stack.objects.get(pk=deployment.stack_id)
        told = (held, in_force(stack), found.sentence(stack))
        _set(deployment, advice=" ".join(one for one in told if one))
        announce(deployment, Deployment.State.CANCELLED.value)
        if "deployed_generation" in fields:
            deployment_succeeded.send(sender=Deployment, deployment=deployment, observation=observation)


def waits_for_approval(deployment: Deployment) -> None:
    """A second administrator has to look at the plan first. Raises LeaseLost."""
    with transaction.atomic():
        _give_back(deployment)
        if Deployment.objects.filter(stack=deployment.stack_id, state__in=Deployment.WAITING).exists():
            # More was asked for meanwhile, so this plan is not the one to approve.
            leases.put_back(deployment, keep_try=False)
            return
        _set(deployment, state=Deployment.State.APPROVAL, attempts=deployment.attempts - 1, doing="", worker="")
        announce(deployment, "approval")


def handed_over(deployment: Deployment) -> None:
    """This worker stops; the next one looks what AWS did, and goes on. Raises LeaseLost."""
    with transaction.atomic():
        _give_back(deployment)
        leases.put_back(deployment, keep_try=False)


def _remembered(left: Sequence[Leftover] | None) -> dict[str, Any]:
    """The stack's fields that remember what is left, once somebody has looked."""
    return {} if left is None else {"leftovers": [one.to_json() for one in left], "change_began_after": ""}


def _give_back(deployment: Deployment, **stack_fields: object) -> None:
    if not leases.give_back(deployment, **stack_fields):
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
