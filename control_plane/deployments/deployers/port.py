"""How a published manifest becomes a deployed stack: the port.

`resident.py` is CDK's own engine in a process that stays; `cdk_cli.py` is the plain `cdk deploy`, as a person would run it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from control_plane.base.aws import Place
from control_plane.deployments.failures import Problem
from control_plane.deployments.models import Failure
from control_plane.deployments.plans import Plan

Tell = Callable[[str], None]
Tick = Callable[[], None]


class DeployerFailure(RuntimeError):
    """The deployer itself failed, whatever CloudFormation may say. `advice` says what to do, `kind` what follows.

    `told` is all that it said of it.
    """

    def __init__(self, message: str, advice: str, kind: Failure = Failure.PERMANENT, told: str = "") -> None:
        super().__init__(message)
        self.advice, self.kind, self.told = advice, kind, told

    @property
    def problem(self) -> Problem:
        """For the record."""
        return Problem(str(self), self.advice, self.kind)


class DeployerMissing(DeployerFailure):
    """This way to deploy cannot be used here; the plain command line may."""


class Declined(RuntimeError):
    """The plan was made and not allowed to be carried out: nothing was changed."""


@dataclass(frozen=True)
class Target:
    """What to deploy: the stack, the context that has the app synthesise it alone, and its assembly if one was made."""

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
    """What a deployer tells while it works, and whom it asks before it changes anything."""

    def line(self, text: str) -> None:
        """A line for the log."""

    def resource(self, event: ResourceEvent) -> None:
        """A resource has got further."""

    def may_execute(self, plan: Plan | None) -> bool:
        """The change set is made, and changes this (None: this deployer cannot tell). May it be executed?"""

    def tick(self) -> None:
        """Called at least once a second. Whatever it raises ends the deployer's work."""


class Deployer(Protocol):
    """Deploys. It does not say how the deployment ended: CloudFormation does."""

    def deploy(self, target: Target, watcher: Watcher) -> None:
        """Deploy, and return when CloudFormation has ended.

        Raises Declined, or DeployerFailure where it could not do its work. A change that CloudFormation refused may raise or
        return.
        """
