"""The edge of the process, imitated: a CloudFormation that is told how to end, and a deployer that asks it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from control_plane.deployments import cloudformation
from control_plane.deployments.cloudformation import FailedResource, Observation
from control_plane.deployments.deployer import Target, Tell, Tick
from control_plane.deployments.engine import reconcile_next


@dataclass
class FakeAws:
    """What each stack holds; `deploy` makes it hold what `next_status` and `next_generation` say."""

    stacks: dict[str, Observation] = field(default_factory=dict)
    failure: FailedResource | None = None
    deployed: list[str] = field(default_factory=list)
    while_deploying: Callable[[Target], None] = lambda target: None
    outcome: Callable[[str], Observation] = lambda name: Observation()

    def deploy(self, target: Target, *, tell: Tell, tick: Tick) -> None:
        tell(f"{target.stack_name} |  1/2 | 1:00:00 AM | CREATE_COMPLETE | AWS::IAM::Role | Federated/Role (Role1)")
        tick()
        self.while_deploying(target)
        self.deployed.append(target.stack_name)
        self.stacks[target.stack_name] = self.outcome(target.stack_name)

    def observe(self, stack_name: str, region: str) -> Observation:
        return self.stacks.get(stack_name, Observation())

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "FakeAws":
        monkeypatch.setattr(cloudformation, "observe", self.observe)
        monkeypatch.setattr(cloudformation, "first_failure", lambda *_: self.failure)
        return self


def holding(generation: int, status: str = "UPDATE_COMPLETE") -> Observation:
    return Observation(status, {"Generation": str(generation)})


def reconcile_all(deployer: FakeAws) -> int:
    """Do what a worker does until nothing waits, and return how many deployments ran."""
    ran = 0
    while reconcile_next(deployer):
        ran += 1
    return ran
