"""Interface between the engine and the deployers, which bring a published manifest to AWS.

`resident.py` runs CDK's own engine in a long-lived process; `cdk_cli.py` runs the plain `cdk deploy`, as a person would.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from control_plane.base.aws import Place
from control_plane.deployments.failures import DeploymentProblem
from control_plane.deployments.models import Failure
from control_plane.deployments.plans import Plan

Tell = Callable[[str], None]
Tick = Callable[[], None]


class DeployerFailure(RuntimeError):
    """Failure of the deployer itself, whatever CloudFormation may say. `advice` says what to do, `kind` what follows.

    `output` is all that the deployer said of it.
    """

    def __init__(self, message: str, advice: str, kind: Failure = Failure.PERMANENT, output: str = "") -> None:
        super().__init__(message)
        self.advice, self.kind, self.output = advice, kind, output

    @property
    def problem(self) -> DeploymentProblem:
        """The failure as a problem, for the deployment's record."""
        return DeploymentProblem(str(self), self.advice, self.kind)


class DeployerMissing(DeployerFailure):
    """This deployer cannot be used here; the next one may."""


class Declined(RuntimeError):
    """The change set was made, and the watcher did not allow its execution: nothing was changed."""


@dataclass(frozen=True)
class Target:
    """Deployment target: the stack, the context that has the app synthesise it alone, and its assembly if one was made."""

    stack_name: str
    context: str
    assembly: Path | None = None
    revert_drift: bool = False
    place: Place | None = None


@dataclass(frozen=True)
class ResourceEvent:
    """One event of CloudFormation about one resource of the stack, or about the stack itself."""

    logical_id: str
    type: str
    status: str
    reason: str = ""


class Watcher(Protocol):
    """Receiver of a deployer's progress, which also decides whether a change set is executed."""

    def line(self, text: str) -> None:
        """Add a line to the log."""

    def resource(self, event: ResourceEvent) -> None:
        """Record that a resource has got further."""

    def may_execute(self, plan: Plan | None) -> bool:
        """Decide whether the change set may be executed. `plan` is what it changes, None if this deployer cannot tell."""

    def tick(self) -> None:
        """Check the run. Called at least once a second; what it raises ends the deployer's work."""


class Deployer(Protocol):
    """One way to deploy a stack. CloudFormation says how the deployment ended, not the deployer."""

    def deploy(self, target: Target, watcher: Watcher) -> None:
        """Deploy, and return when CloudFormation has ended.

        Raises Declined, or DeployerFailure where it could not do its work. A change that CloudFormation refused may raise or
        return.
        """
