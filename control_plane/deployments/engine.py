"""Bring each waiting stack to its desired state: claim, publish, deploy, ask CloudFormation, record."""

import logging
import time
from collections.abc import Callable

from django.db import transaction
from django.utils import timezone

from control_plane.config import config
from control_plane.deployments import claims, cloudformation
from control_plane.deployments._cdk_cli import CdkCli
from control_plane.deployments.cloudformation import AwsFailure, Observation
from control_plane.deployments.deployer import Deployer, DeployerFailure, Target
from control_plane.deployments.log import DeploymentLog
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from stacks.manifest import GroupManifest, ManifestError, StoreUnavailable, open_store, parse

logger = logging.getLogger("cohort.engine")


class LeaseLost(RuntimeError):
    """Another worker took the stack over; this one must not touch it, nor its record, any more."""


class NotReached(RuntimeError):
    """CloudFormation ended, but the stack does not hold what was wanted."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


def reconcile_next(deployer: Deployer | None = None) -> bool:
    """Deploy the stack that waits longest, if any. Returns whether there was one, so that more may wait."""
    for successor in claims.give_up_abandoned():
        logger.warning("%s was abandoned by its worker and starts over", successor.stack)
    deployment = claims.claim_next(claims.WORKER)
    if deployment is None:
        return False
    run(deployment, deployer or CdkCli())
    return True


def run(deployment: Deployment, deployer: Deployer) -> None:
    """Carry out one claimed deployment and record how it ended, whatever happens."""
    log = DeploymentLog(deployment)
    stack = deployment.stack
    logger.info("deploying %s generation %s (deployment %s)", stack, deployment.generation, deployment.pk)
    try:
        observation = _deploy(deployment, deployer, log)
    except LeaseLost:
        logger.error("lost the lease on %s; another worker goes on", stack)
        return
    except (AwsFailure, DeployerFailure, NotReached) as error:
        _record_failure(deployment, log, str(error), error.advice)
    except (ManifestError, StoreUnavailable) as error:
        _record_failure(deployment, log, str(error), "Nothing was changed on AWS. Correct it, then deploy again.")
    except Exception as error:
        # A defect of ours: the record must not say 'running' for ever. The traceback goes to the worker's log.
        logger.exception("deployment %s failed unexpectedly", deployment.pk)
        message = f"Cohort itself failed ({type(error).__name__})."
        _record_failure(deployment, log, message, "The worker's log has the details. AWS may be changed in part; deploy again.")
    else:
        _record_success(deployment, log, observation)


def _deploy(deployment: Deployment, deployer: Deployer, log: DeploymentLog) -> Observation:
    """Publish, deploy and ask. Returns what CloudFormation holds, which is what was wanted; otherwise raises."""
    stack, started = deployment.stack, timezone.now()
    log.step("Looking at what AWS holds now", 2)
    cloudformation.observe(stack.name, stack.region)
    log.step("Publishing the manifest", 5)
    target = _publish(deployment)
    log.step("Working out what AWS has to change", 10)
    failure = None
    try:
        deployer.deploy(target, tell=log.write, tick=_heartbeat(deployment))
    except DeployerFailure as error:
        failure = error
    log.step("Asking CloudFormation how it ended", 95)
    observation = cloudformation.observe(stack.name, stack.region)
    if observation.is_complete and observation.generation == deployment.generation:
        return observation
    _note_status(deployment, observation)
    if failed := cloudformation.first_failure(stack.name, stack.region, started) if observation.status else None:
        raise NotReached(
            f"CloudFormation could not make {failed.resource_type} “{failed.logical_id}”: {failed.reason}", _advice(observation)
        )
    raise failure or NotReached(
        f"The stack is {observation.status or 'not there'} and holds generation {observation.generation} "
        f"instead of {deployment.generation}.",
        _advice(observation),
    )


def _publish(deployment: Deployment) -> Target:
    stored = StoredManifest.objects.get(stack=deployment.stack, generation=deployment.generation)
    manifest = parse(stored.text)
    open_store(config().manifest_store).write(manifest.store_key, stored.text)
    context = f"group={manifest.slug}" if isinstance(manifest, GroupManifest) else "platform=1"
    return Target(stack_name=deployment.stack.name, context=context)


def _heartbeat(deployment: Deployment) -> Callable[[], None]:
    """A tick that prolongs the lease three times in its length. Raises LeaseLost."""
    every = config().cohort_lease_seconds / 3
    due = time.monotonic()

    def tick() -> None:
        nonlocal due
        if time.monotonic() < due:
            return
        if not claims.keep_alive(deployment):
            raise LeaseLost
        due = time.monotonic() + every

    return tick


def _advice(observation: Observation) -> str:
    if not observation.status:
        return "AWS holds nothing of this stack. Correct the cause, then deploy again."
    if "ROLLBACK_COMPLETE" in observation.status:
        return "CloudFormation took its changes back, so AWS holds what it held before. Correct the cause, then deploy again."
    return f"The stack is now {observation.status}. Correct the cause, then deploy again."


def _note_status(deployment: Deployment, observation: Observation) -> None:
    deployment.cloudformation_status = observation.status
    Stack.objects.filter(pk=deployment.stack_id).update(status=observation.status)


def _record_success(deployment: Deployment, log: DeploymentLog, observation: Observation) -> None:
    deployment.cloudformation_status = observation.status
    deployment.outputs = observation.outputs
    log.write(f"{deployment.stack.name} is {observation.status} at generation {deployment.generation}")
    deployed = {"deployed_generation": deployment.generation, "status": observation.status, "outputs": observation.outputs}
    _end(deployment, Deployment.State.SUCCEEDED, **deployed)
    logger.info("%s is up to date at generation %s", deployment.stack, deployment.generation)


def _record_failure(deployment: Deployment, log: DeploymentLog, error: str, advice: str) -> None:
    deployment.error, deployment.advice = error, advice
    log.write(f"Failed: {error}")
    _end(deployment, Deployment.State.FAILED)
    logger.warning("deployment %s of %s failed: %s", deployment.pk, deployment.stack, error)


def _end(deployment: Deployment, state: str, **stack_fields: object) -> None:
    """Record the end and give the stack back, in one transaction, if the lease is still ours."""
    with transaction.atomic():
        ours = Stack.objects.filter(pk=deployment.stack_id, lease_owner=deployment.worker)
        if not ours.update(lease_owner="", lease_expires_at=None, **stack_fields):
            logger.error("lost the lease on %s; the record of deployment %s is not ours to end", deployment.stack, deployment.pk)
            return
        deployment.state, deployment.finished_at, deployment.doing, deployment.percent = state, timezone.now(), "", 100
        deployment.save(
            update_fields=["state", "finished_at", "doing", "percent", "cloudformation_status", "outputs", "error", "advice"]
        )
