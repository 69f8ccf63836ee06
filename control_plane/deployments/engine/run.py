"""One try of one deployment: observe, publish, deploy, ask CloudFormation, record. The worker may die in every stage."""

import logging
import threading
import time
from collections.abc import Sequence

from django.db import OperationalError

from control_plane.base import aws
from control_plane.base.aws import AwsFailure
from control_plane.base.config import config
from control_plane.deployments import aws_ahead, cloudformation, drift, failures, leftovers, lockout, lockout_requests
from control_plane.deployments.cloudformation import Observation
from control_plane.deployments.deployers.port import Declined, Deployer, DeployerFailure, DeployerMissing, ResourceEvent, Target
from control_plane.deployments.deployers.synthesis import Assembly
from control_plane.deployments.engine import leases, outcomes, repair, stack_deletion, validations
from control_plane.deployments.engine.heartbeat import Heartbeat, LeaseLost
from control_plane.deployments.engine.run_log import EXECUTING_PERCENT, DeploymentLog, DeploymentTakenOver
from control_plane.deployments.failures import DeploymentProblem, problem_from_aws
from control_plane.deployments.leftovers import Leftover
from control_plane.deployments.models import Deployment, Failure, StoredManifest
from control_plane.deployments.plans import Plan, needs_approval
from control_plane.deployments.signals import pre_execute
from stacks.manifest import GroupManifest, ManifestError, ManifestTooNew, parse
from stacks.store import StoreUnavailable, open_store

logger = logging.getLogger("cohort.engine")

# Shortest interval between two requests to deny again: a stack of many members reports many principals at once.
DENY_AGAIN_SECONDS = 1.0
OUR_FAULT_ADVICE = "The worker's log has the details. AWS may be changed in part; deploy again."
DATABASE_ADVICE = "AWS may be changed in part. It is tried again by itself, and looks at AWS first."


class HandedOver(RuntimeError):
    """This worker is to stop, and the run goes on in another one."""


class CancelRequested(RuntimeError):
    """The run was cancelled before CloudFormation had begun."""


class NotReached(RuntimeError):
    """CloudFormation has ended, but the stack does not hold what was wanted."""

    def __init__(self, problem: DeploymentProblem, observation: Observation) -> None:
        super().__init__(problem.error)
        self.problem, self.observation = problem, observation


class Run:
    """Run of one claimed deployment, which is also the deployer's Watcher."""

    def __init__(self, deployment: Deployment, heartbeat: Heartbeat, hand_over: threading.Event) -> None:
        self._deployment, self._stack = deployment, deployment.stack
        self._heartbeat, self._hand_over = heartbeat, hand_over
        self._log = DeploymentLog(deployment)
        self._stage, self._entered, self._deny_again_at = "", 0.0, 0.0
        self._observation: Observation | None = None
        self._cancel_sent = self._approval_needed = False
        # Whether the plan removes anything, or may: CloudFormation calls an update complete even if it could not remove a resource.
        self._removes = True
        # The stack's newest event before this run changes it, and before a change of an earlier try that ended without a record;
        # and what AWS holds that should be gone, once looked at.
        self._last_event, self._unrecorded = "", self._stack.change_began_after
        self._left: list[Leftover] | None = None

    def carry_out(self, assembly: Assembly | None, deployers: Sequence[Deployer]) -> None:
        """Carry out all stages, and record the end, whatever happens. The first available deployer deploys."""
        deployment = self._deployment
        logger.info(
            "%s: deploying generation %s (deployment %s, try %s)",
            self._stack,
            deployment.generation,
            deployment.pk,
            deployment.attempts,
        )
        try:
            self._carry_out(assembly, deployers)
            lockout_requests.deny_again(deployment)
        except (LeaseLost, DeploymentTakenOver):
            logger.warning("%s: the lease was lost; another worker goes on with deployment %s", self._stack, deployment.pk)

    def fail(self, problem: DeploymentProblem) -> None:
        """Record a try that failed before its own stages began."""
        try:
            self._failed(problem)
        except (LeaseLost, DeploymentTakenOver):
            logger.warning("%s: the lease was lost; another worker goes on with deployment %s", self._stack, self._deployment.pk)

    def _carry_out(self, assembly: Assembly | None, deployers: Sequence[Deployer]) -> None:
        try:
            self._bring_about(assembly, deployers)
        except HandedOver:
            self._close("This worker stops; the next one looks what AWS did, and goes on")
            outcomes.record_hand_over(self._deployment)
        except CancelRequested:
            self._close("Cancelled before AWS was asked to change anything")
            outcomes.record_cancellation(self._deployment, self._heartbeat.cancelled_by(self._deployment), self._observation)
        except Declined:
            self._declined()
        except NotReached as error:
            self._not_reached(error)
        except (LeaseLost, DeploymentTakenOver):
            raise
        except Exception as error:
            self._failed(_problem_of(error))

    def _bring_about(self, assembly: Assembly | None, deployers: Sequence[Deployer]) -> None:
        deployment, stack = self._deployment, self._stack
        self._enter("looking", "Looking at what AWS holds now", 2)
        if stack.is_retired:
            self._observation, half_done = repair.wait_for_rest(stack, tell=self.line, tick=self.tick), False
        else:
            self._observation, half_done = repair.settle(stack, tell=self.line, tick=self.tick)
        if aws_ahead.record_newer_generation(stack, self._observation):
            self._failed(aws_ahead.newer_generation_problem(stack))
            return
        if stack.is_retired:
            self._remove(self._observation)
            return
        if assembly is not None and (problem := assembly.problems.get(stack.name)):
            self._failed(problem)
            return
        self._last_event = cloudformation.newest_event(stack.name, stack.place) if self._observation.status else ""
        self._enter("publishing", "Publishing the manifest", 5)
        target = self._publish(assembly, revert_drift=deployment.revert_drift or half_done)
        if target.revert_drift:
            self.line("What was changed outside Cohort is put back too (a drift-aware change set)")
        self._enter("preparing", "Working out what AWS has to change", 10)
        self._record(self._deploy(target, deployers), assembly)

    def _record(self, failure: DeployerFailure | None, assembly: Assembly | None) -> None:
        """Ask CloudFormation how the deployment ended, whatever the deployer says, and record it. Raises NotReached."""
        deployment, stack = self._deployment, self._stack
        self._enter("recording", "Asking CloudFormation how it ended", 95)
        observation = repair.wait_for_rest(stack, tell=self.line, tick=self._keep)
        self._observation = observation
        is_reached = observation.is_complete and observation.generation == deployment.generation
        self._look_for_leftovers(may_be_new=self._removes or not is_reached)
        if not is_reached:
            raise NotReached(self._judge(observation, self._last_event, failure), observation)
        if self._left:
            raise NotReached(leftovers.leftovers_problem(self._left), observation)
        if deployment.revert_drift:
            # CloudFormation has put back the resources that it knows of; these additions it does not.
            for line in drift.delete_recorded_additions(stack):
                self.line(line)
        self._log.complete()
        self._close(f"{stack.name} is {observation.status} at generation {deployment.generation}")
        outcomes.record_success(deployment, observation, assembly.digests.get(stack.name, "") if assembly else "")
        logger.info("%s: up to date at generation %s", stack, deployment.generation)

    def _remove(self, observation: Observation) -> None:
        """Delete the stack from AWS, and record it. Raises NotReached, or Declined."""
        stack = self._stack
        self._enter("publishing", "Publishing that the group is retired", 5)
        self._publish(None, revert_drift=False)
        self._enter("preparing", "Working out what AWS has to remove", 10)
        if observation.status in stack_deletion.GONE:
            self.line(f"{stack.name} is not there: there is nothing to remove")
        elif not self.may_execute(stack_deletion.deletion_plan(observation, stack.place)):
            raise Declined
        else:
            self._observation = stack_deletion.delete_stack(stack, observation, self)
        self._enter("recording", "Recording that it is removed", 95)
        # Leftovers of earlier updates were no part of the stack any more, so its deletion did not remove them.
        self._look_for_leftovers(may_be_new=False, stack_id=observation.stack_id)
        if self._left:
            raise NotReached(leftovers.leftovers_problem(self._left), Observation(stack_deletion.REMOVED))
        self._log.complete()
        self._close(f"{stack.name} is removed from AWS")
        outcomes.record_success(self._deployment, Observation(stack_deletion.REMOVED), "")
        logger.info("%s: removed, as generation %s wants it", stack, self._deployment.generation)

    def _publish(self, assembly: Assembly | None, *, revert_drift: bool) -> Target:
        text = StoredManifest.objects.text_at(self._stack, self._deployment.generation)
        manifest = parse(text)
        open_store(config().manifest_store).write(manifest.store_key, text)
        context = f"group={manifest.slug}" if isinstance(manifest, GroupManifest) else f"platform={manifest.number}"
        # Only an existing stack can drift.
        exists = bool(self._observation and self._observation.status)
        folder = assembly.folder if assembly else None
        return Target(self._stack.name, context, folder, revert_drift and exists, self._stack.place)

    def _deploy(self, target: Target, deployers: Sequence[Deployer]) -> DeployerFailure | None:
        """Deploy with the first available deployer. Returns its failure, which counts only if CloudFormation reports no other."""
        for deployer in deployers:
            try:
                deployer.deploy(target, self)
            except DeployerMissing as error:
                self.line(f"{error} {error.advice}")
                continue
            except DeployerFailure as error:
                return error
            return None
        return DeployerFailure("There is no way to deploy here.", "Run `make install`, then deploy again.")

    def _look_for_leftovers(self, *, may_be_new: bool, stack_id: str = "") -> None:
        """Find leftovers of earlier runs, of a try whose worker died before it could check, and, if `may_be_new`, of this one."""
        after = self._unrecorded or (self._last_event if may_be_new else None)
        self._left = leftovers.find_leftovers(self._stack, after, stack_id=stack_id)

    def _judge(self, observation: Observation, last_event: str, failure: DeployerFailure | None) -> DeploymentProblem:
        stack = self._stack
        if observation.status and (failed := cloudformation.first_failure(stack.name, stack.place, last_event)):
            if refused := validations.refused_in_operation(stack.name, stack.place, failed):
                return failures.problem_from_refused(refused)
            return failures.problem_from_resource(failed, observation.status)
        if failure is not None:
            refused = validations.refused_in_change_set(stack.name, stack.place, failure)
            return failures.problem_from_refused(refused) if refused else failure.problem
        return failures.problem_from_state(observation.status, observation.generation, self._deployment.generation)

    def _not_reached(self, error: NotReached) -> None:
        if by := self._heartbeat.cancelled_by(self._deployment):
            self._close(f"CloudFormation took the update back: {error.observation.status}")
            outcomes.record_cancellation(self._deployment, by, error.observation, self._left)
        else:
            self._failed(error.problem)

    def _declined(self) -> None:
        if self._approval_needed:
            self._close("Waiting for a second administrator's approval")
            outcomes.record_approval_wait(self._deployment)
        else:
            raise LeaseLost

    def _failed(self, problem: DeploymentProblem) -> None:
        self._close(f"Failed: {problem.error}")
        successor = outcomes.record_failure(self._deployment, problem, self._observation, self._left)
        further = f"goes on in deployment {successor.pk}" if successor else "waits for somebody"
        logger.warning(
            "%s: deployment %s failed (%s; %s): %s", self._stack, self._deployment.pk, problem.kind, further, problem.error
        )

    # The methods of Watcher, called by the deployer.

    def line(self, text: str) -> None:
        """Add a line to the log; see Watcher."""
        self._log.write(text)

    def resource(self, event: ResourceEvent) -> None:
        """Record a resource's event, and request denials again if it wrote a principal; see Watcher."""
        self._log.resource(event)
        if event.type in lockout.CARRIERS and event.status.endswith("_COMPLETE") and time.monotonic() > self._deny_again_at:
            self._deny_again_at = time.monotonic() + DENY_AGAIN_SECONDS
            lockout_requests.deny_again(self._deployment)

    def tick(self) -> None:
        """Check the run; see Watcher. Raises LeaseLost, HandedOver, or CancelRequested while nothing has begun on AWS."""
        self._keep()
        if not self._heartbeat.cancelled_by(self._deployment):
            return
        # In the stage "looking" this is called only while CloudFormation is at work on what an earlier try began.
        if self._stage not in ("looking", "executing"):
            raise CancelRequested
        if not self._cancel_sent:
            self._cancel_sent = True
            taken = cloudformation.cancel_update(self._stack.name, self._stack.place)
            self.line("Cancelling: CloudFormation takes the update back" if taken else "AWS cannot take this change back any more")

    def may_execute(self, plan: Plan | None) -> bool:
        """Decide on the plan; see Watcher. False if a second administrator has to approve first, or the lease is lost."""
        deployment = self._deployment
        held = (
            StoredManifest.objects.text_at(self._stack, self._observation.generation)
            if self._observation and self._observation.generation
            else ""
        )
        # If the deployer cannot tell what changes, the broadest change is assumed.
        known = plan or Plan(permissions="broadening", names_resources=False)
        shown = known.for_manifests(held, StoredManifest.objects.text_at(self._stack, deployment.generation))
        self._removes = not known.names_resources or any(resource.action in ("remove", "replace") for resource in known.resources)
        self._log.plan(shown)
        self.tick()
        if needs_approval(deployment, shown):
            self._approval_needed = True
            return False
        # If this worker dies, the next one finds leftovers among the events since then.
        if not leases.confirm(deployment, change_began_after=self._unrecorded or self._last_event):
            return False
        pre_execute.send(
            sender=Deployment, stack=self._stack, manifest=StoredManifest.objects.text_at(self._stack, deployment.generation)
        )
        with aws.translated_errors():
            lockout.clear_stale_denials(deployment)
        self._enter("executing", "AWS is changing it", EXECUTING_PERCENT)
        return True

    def _keep(self) -> None:
        self._heartbeat.check(self._deployment)
        if self._hand_over.is_set():
            raise HandedOver
        self._log.flush_if_due()

    def _enter(self, stage: str, doing: str, percent: int) -> None:
        self._leave()
        self._stage, self._entered = stage, time.monotonic()
        self._log.step(doing, percent)
        self._heartbeat.check(self._deployment)
        # Once CloudFormation has ended, its result is recorded here; every earlier stage can go on in another worker.
        if self._hand_over.is_set() and stage != "recording":
            raise HandedOver

    def _leave(self) -> None:
        if self._stage:
            spent = round(time.monotonic() - self._entered, 3)
            self._deployment.stages[self._stage] = self._deployment.stages.get(self._stage, 0) + spent
        self._stage = ""

    def _close(self, line: str) -> None:
        """Write the last line, and store the gathered log, before the end is recorded."""
        self._leave()
        self._log.write(line)
        self._log.flush()


def _problem_of(error: Exception) -> DeploymentProblem:
    if isinstance(error, AwsFailure):
        return problem_from_aws(error)
    if isinstance(error, DeployerFailure | repair.NotRepaired):
        return error.problem
    if isinstance(error, ManifestTooNew):
        advice = f"{aws.NOTHING_CHANGED} A worker of the newer release deploys it; it is tried again by itself."
        return DeploymentProblem(str(error), advice, Failure.RETRYABLE)
    if isinstance(error, ManifestError):
        return DeploymentProblem(str(error), f"{aws.NOTHING_CHANGED} Correct it, then deploy again.", Failure.PERMANENT)
    if isinstance(error, StoreUnavailable):
        advice = f"{aws.NOTHING_CHANGED} It is tried again by itself; if that goes on, look at COHORT_MANIFEST_STORE."
        return DeploymentProblem(str(error), advice, Failure.RETRYABLE)
    if isinstance(error, OperationalError):
        # The database went away, or a transaction lost to another one. The next try observes AWS before it changes anything.
        logger.warning("the database did not take a run's record", exc_info=error)
        return DeploymentProblem("Cohort’s database did not answer as it should.", DATABASE_ADVICE, Failure.RETRYABLE)
    # A defect of ours: the record must not say 'running' for ever. The traceback goes to the worker's log.
    logger.error("a run failed unexpectedly", exc_info=error)
    return DeploymentProblem(f"Cohort itself failed ({type(error).__name__}).", OUR_FAULT_ADVICE, Failure.PERMANENT)
