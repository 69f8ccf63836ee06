"""Engine: brings waiting stacks to their desired state, many at once through one synthesis, each then by a run of its own."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from django.db import close_old_connections

from control_plane.base.config import config
from control_plane.base.polling import poll_until
from control_plane.deployments.deployers import toolchain
from control_plane.deployments.deployers.cdk_cli import CdkCli
from control_plane.deployments.deployers.port import Deployer, DeployerMissing
from control_plane.deployments.deployers.resident import ResidentDeployer
from control_plane.deployments.deployers.synthesis import Assembly, Synthesiser, SynthesisFailed
from control_plane.deployments.engine import leases, outcomes
from control_plane.deployments.engine.heartbeat import Heartbeat, LeaseLost
from control_plane.deployments.engine.run import Run
from control_plane.deployments.models import Deployment, StoredManifest

logger = logging.getLogger("cohort.engine")

# Runs claimed for each one that deploys: while some deploy, the next ones are synthesised.
CLAIMED_PER_SLOT = 4
# Longest time that a run takes to notice that it is to be handed over, unless it waits for an answer of AWS.
HAND_OVER_SECONDS = 6.0


class Engine:
    """One worker's engine: heartbeat, synthesiser, deployers, and the thread pools that carry out runs."""

    def __init__(self, name: str, *, deployers: Sequence[Deployer] | None = None, synthesiser: Synthesiser | None = None) -> None:
        self.name = name
        self.hand_over = threading.Event()
        self.heartbeat = Heartbeat(name, self.doing)
        self.resident = ResidentDeployer() if deployers is None and config().cohort_deployer == "resident" else None
        usual: list[Deployer] = [self.resident, CdkCli()] if self.resident else [CdkCli()]
        self._deployers = usual if deployers is None else list(deployers)
        self.synthesiser = synthesiser or (Synthesiser() if self.resident else None)
        self._runs = ThreadPoolExecutor(config().cohort_parallel, thread_name_prefix="run")
        self._batches = ThreadPoolExecutor(config().cohort_parallel * CLAIMED_PER_SLOT, thread_name_prefix="batch")
        self._open: dict[int, Deployment] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the heartbeat and the CDK processes, without waiting for them."""
        self.heartbeat.start()
        toolchain.keep(toolchain.Toolchain(self.resident, self.synthesiser))
        if self.resident is not None and self.synthesiser is not None:
            self.synthesiser.warm()
            try:
                self.resident.warm()
            except DeployerMissing as error:
                logger.warning("%s %s", error, error.advice)

    def claim_and_start(self) -> int:
        """Claim waiting deployments, as far as there is room, and start their runs. Returns how many were started."""
        room = config().cohort_parallel * CLAIMED_PER_SLOT - len(self._open)
        # Claimed in batches: a synthesis for each run alone would cost more than starting earlier gains.
        if room < config().cohort_parallel or not leases.has_waiting():
            return 0
        claimed = leases.claim(self.name, room)
        for deployment in claimed:
            self.heartbeat.hold(deployment)
            with self._lock:
                self._open[deployment.pk] = deployment
        if claimed:
            self._batches.submit(self._carry_out, claimed)
        return len(claimed)

    @property
    def is_idle(self) -> bool:
        """True if no run is under way."""
        return not self._open

    def doing(self) -> str:
        """Describe the runs under way in words."""
        with self._lock:
            names = [f"{deployment.stack.name} (deployment {deployment.pk})" for deployment in self._open.values()]
        if not names:
            return "waiting for something to deploy"
        return f"deploying {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"

    def stop(self, grace_seconds: float) -> bool:
        """Let runs end within `grace_seconds`, hand the others over, and end the processes.

        Returns whether every thread has ended; one that waits for an AWS that does not answer may not have.
        """
        if not self._idle_within(grace_seconds):
            logger.info("handing over: %s", self.doing())
        self.hand_over.set()
        has_ended = self._idle_within(HAND_OVER_SECONDS)
        if not has_ended:
            self._hand_over_the_rest()
        for pool in (self._batches, self._runs):
            pool.shutdown(wait=has_ended, cancel_futures=True)
        self.heartbeat.stop()
        if self.resident is not None:
            self.resident.end()
        if self.synthesiser is not None:
            self.synthesiser.end()
        return has_ended

    def _idle_within(self, seconds: float) -> bool:
        return poll_until(lambda: self.is_idle, bool, seconds=seconds, every=0.05)

    def _hand_over_the_rest(self) -> None:
        """Hand over runs whose thread has not ended; such a thread finds its lease gone if it ever goes on."""
        with self._lock:
            rest = list(self._open.values())
        for deployment in rest:
            try:
                outcomes.record_hand_over(deployment)
            except LeaseLost:
                logger.info("%s had ended meanwhile", deployment)

    def _carry_out(self, batch: Sequence[Deployment]) -> None:
        try:
            self._synthesise_and_run(batch)
        except Exception:
            # The runs are released below; their leases expire, and a worker recovers them.
            logger.exception("a batch of %s failed unexpectedly", len(batch))
        finally:
            for deployment in batch:
                self._forget(deployment)
            close_old_connections()

    def _synthesise_and_run(self, batch: Sequence[Deployment]) -> None:
        manifests = _manifests(batch)
        if self.synthesiser is None or not manifests:
            self._run_all(batch, None)
            return
        began = time.monotonic()
        try:
            with self.synthesiser.assembly(manifests) as assembly:
                for deployment in batch:
                    deployment.stages["synthesising"] = round(time.monotonic() - began, 3)
                self._run_all(batch, assembly)
        except SynthesisFailed as error:
            for deployment in batch:
                Run(deployment, self.heartbeat, self.hand_over).fail(error.problem)

    def _run_all(self, batch: Sequence[Deployment], assembly: Assembly | None) -> None:
        futures: list[Future[None]] = [self._runs.submit(self._run, deployment, assembly) for deployment in batch]
        wait(futures)

    def _run(self, deployment: Deployment, assembly: Assembly | None) -> None:
        close_old_connections()
        try:
            Run(deployment, self.heartbeat, self.hand_over).carry_out(assembly, self._deployers)
        except Exception:
            # The record could not be written: the lease expires, and the run is started again.
            logger.exception("the end of deployment %s could not be recorded", deployment.pk)
        finally:
            self._forget(deployment)

    def _forget(self, deployment: Deployment) -> None:
        self.heartbeat.release(deployment)
        with self._lock:
            self._open.pop(deployment.pk, None)


def _manifests(batch: Sequence[Deployment]) -> dict[str, str]:
    """Return the manifests that these runs deploy, by their stacks' names, without retired stacks, which are deleted. One query."""
    wanted = {
        (deployment.stack_id, deployment.generation): deployment.stack.name
        for deployment in batch
        if not deployment.stack.is_retired
    }
    stored = StoredManifest.objects.filter(
        stack__in=[deployment.stack_id for deployment in batch], generation__in={deployment.generation for deployment in batch}
    )
    rows = stored.values_list("stack_id", "generation", "text")
    return {wanted[stack, generation]: text for stack, generation, text in rows if (stack, generation) in wanted}
