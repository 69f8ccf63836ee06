"""How a published manifest becomes a deployed stack: the port. `_cdk_cli.py` is the plain `cdk deploy` behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Tell = Callable[[str], None]
Tick = Callable[[], None]


class DeployerFailure(RuntimeError):
    """The deployer itself failed, whatever CloudFormation may say. `advice` says what to do."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


@dataclass(frozen=True)
class Target:
    """What to deploy: the stack, and the context that has the app synthesise it and nothing else."""

    stack_name: str
    context: str


class Deployer(Protocol):
    """Synthesises and deploys. It does not say how the deployment ended: CloudFormation does."""

    def deploy(self, target: Target, *, tell: Tell, tick: Tick) -> None:
        """Deploy and return when CloudFormation has ended; `tell` gets each line, `tick` is called at least once a second.

        Raises DeployerFailure where it could not do its work. A change that CloudFormation refused may raise or return.
        """
