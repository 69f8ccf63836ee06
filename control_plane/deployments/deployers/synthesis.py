"""Synthesis of manifests into an assembly, by a process that keeps jsii and aws_cdk loaded (`stacks/group/synthesiser.py`)."""

import logging
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from control_plane.base.config import config
from control_plane.deployments.deployers._environment import child_environment, work_folder
from control_plane.deployments.deployers._json_child import Child, ChildDied, KeptChild
from control_plane.deployments.failures import DeploymentProblem
from control_plane.deployments.models import Failure

logger = logging.getLogger("cohort.synthesis")

# jsii never frees an app's memory, about 0.1 MB a stack; after so many stacks a fresh process takes over.
STACKS_PER_PROCESS = 5000
POLL_SECONDS = 0.5


class SynthesisFailed(RuntimeError):
    """No assembly could be made."""

    def __init__(self, problem: DeploymentProblem) -> None:
        super().__init__(problem.error)
        self.problem = problem


@dataclass(frozen=True)
class Assembly:
    """Cloud assembly folder, with each stack's template SHA-256 and the problems of stacks that could not be synthesised."""

    folder: Path
    digests: Mapping[str, str]
    problems: Mapping[str, DeploymentProblem]


class Synthesiser:
    """Warm process for all syntheses of this worker, one after another."""

    def __init__(self) -> None:
        self._kept = KeptChild("the synthesiser", [sys.executable, "-m", "stacks.group.synthesiser"], child_environment())
        self._lock = threading.Lock()
        self._stacks = 0

    def warm(self) -> None:
        """Start the process without waiting for it."""
        self._kept.warm()

    @contextmanager
    def assembly(self, manifests: Mapping[str, str]) -> Iterator[Assembly]:
        """Synthesise these manifests (texts, by the stack's name), and remove the assembly afterwards. Raises SynthesisFailed."""
        try:
            folder = Path(tempfile.mkdtemp(prefix="assembly-", dir=work_folder()))
        except OSError as error:
            raise SynthesisFailed(
                DeploymentProblem(
                    f"The assembly could not be written: {error.strerror}.",
                    "Nothing was changed on AWS. It is tried again by itself; make room under VAR_DIR.",
                    Failure.RETRYABLE,
                )
            ) from error
        try:
            with self._lock:
                yielded = self._ask(manifests, folder)
            yield yielded
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def end(self) -> None:
        """End the process."""
        self._kept.end()

    @property
    def pid(self) -> int | None:
        """The process id, if it runs."""
        return self._kept.pid

    def _ask(self, manifests: Mapping[str, str], folder: Path) -> Assembly:
        child = None
        try:
            child = self._kept.get()
            answer = self._answer(child, manifests, folder / "assembly")
        except ChildDied as error:
            raise SynthesisFailed(_retryable(f"{str(error).capitalize()}.")) from error
        self._stacks += len(manifests)
        if self._stacks >= STACKS_PER_PROCESS:
            self._stacks = 0
            threading.Thread(target=self._kept.replace, args=(child,), name="synthesiser-successor", daemon=True).start()
        problems = {name: _permanent(message) for name, message in answer["errors"].items()}
        return Assembly(folder / "assembly", answer["stacks"], problems)

    def _answer(self, child: Child, manifests: Mapping[str, str], output: Path) -> dict[str, dict[str, str]]:
        deadline = time.monotonic() + config().cohort_synth_seconds
        with child.request({"output": str(output), "manifests": dict(manifests)}) as conversation:
            while time.monotonic() < deadline:
                answer = conversation.receive(POLL_SECONDS)
                if answer is None:
                    continue
                if failed := answer.get("failed"):
                    raise SynthesisFailed(_retryable(f"The templates could not be made: {failed}."))
                return answer
        child.kill()
        raise SynthesisFailed(_retryable(f"The templates were not made within {config().cohort_synth_seconds} s."))


def _retryable(error: str) -> DeploymentProblem:
    advice = "Nothing was changed on AWS. The synthesiser is started again and it is tried again by itself."
    return DeploymentProblem(error, advice, Failure.RETRYABLE)


def _permanent(message: str) -> DeploymentProblem:
    return DeploymentProblem(message, "Nothing was changed on AWS. Correct it, then deploy again.", Failure.PERMANENT)
