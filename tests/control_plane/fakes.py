"""The edge of the process, imitated: a CloudFormation that is told how to end, and a deployer that asks its watcher first."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.deployments import cloudformation, leftovers
from control_plane.deployments.cloudformation import Observation
from control_plane.deployments.deployers.port import Declined, Deployer, ResourceEvent, Target, Watcher
from control_plane.deployments.deployers.synthesis import Assembly
from control_plane.deployments.engine import leases, repair
from control_plane.deployments.engine.heartbeat import Heartbeat
from control_plane.deployments.engine.run import Run
from control_plane.deployments.failures import FailedResource
from control_plane.deployments.leftovers import Leftover
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.plans import Plan, ResourceChange

PLAN = Plan(resources=[ResourceChange("Role1", "AWS::IAM::Role", "add"), ResourceChange("User2", "AWS::IAM::User", "add")])
Step = Callable[[Target, Watcher], object]


def holding(generation: int, status: str = "UPDATE_COMPLETE") -> Observation:
    return Observation(status, {"Generation": str(generation)})


def as_wanted(stack_name: str) -> Observation:
    return holding(Stack.objects.get(name=stack_name).generation, "CREATE_COMPLETE")


@dataclass
class FakeAws:
    """What each stack holds, and the deployer that makes it hold what `outcome` says. The steps between are the test's."""

    outcome: Callable[[str], Observation] = as_wanted
    plan: Plan | None = PLAN
    failure: FailedResource | None = None
    # What CloudFormation's events say could not be removed, by the event after which they say so; and what is gone since.
    not_removed: dict[str, list[Leftover]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    newest_event: str = ""
    while_preparing: Step = lambda target, watcher: None
    while_deploying: Step = lambda target, watcher: None
    can_take_back: bool = True
    stacks: dict[str, Observation] = field(default_factory=dict)
    deployed: list[Target] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)

    def deploy(self, target: Target, watcher: Watcher) -> None:
        watcher.tick()
        self.while_preparing(target, watcher)
        if not watcher.may_execute(self.plan):
            raise Declined
        for status in ("CREATE_IN_PROGRESS", "CREATE_COMPLETE"):
            watcher.resource(ResourceEvent("Role1", "AWS::IAM::Role", status))
        self.while_deploying(target, watcher)
        watcher.tick()
        self.deployed.append(target)
        self.stacks[target.stack_name] = self.outcome(target.stack_name)

    def observe(self, stack_name: str, place: Place) -> Observation:
        return self.stacks.get(stack_name, Observation())

    def cancel_update(self, stack_name: str, place: Place) -> bool:
        self.taken_back.append(stack_name)
        return self.can_take_back

    def delete_stack(self, *, StackName: str) -> None:  # noqa: N803 (boto3's own name)
        self.stacks.pop(StackName)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "FakeAws":
        monkeypatch.setattr(cloudformation, "observe", self.observe)
        monkeypatch.setattr(cloudformation, "newest_event", lambda *_: self.newest_event)
        monkeypatch.setattr(leftovers, "failed_removals", lambda _name, _region, after: self.not_removed.get(after, []))
        monkeypatch.setattr(
            leftovers, "still_there", lambda _, found: [resource for resource in found if resource.physical_id not in self.gone]
        )
        monkeypatch.setattr(cloudformation, "first_failure", lambda *_: self.failure)
        monkeypatch.setattr(cloudformation, "cancel_update", self.cancel_update)
        monkeypatch.setattr(cloudformation, "client", lambda region: self)
        monkeypatch.setattr(repair, "POLL_SECONDS", 0)
        return self


def configure(monkeypatch: pytest.MonkeyPatch, module: str, **settings: object) -> None:
    """Have one module of the deployments see other settings."""
    changed = config().model_copy(update=settings)
    monkeypatch.setattr(f"control_plane.deployments.{module}.config", lambda: changed)


def claim_next() -> Deployment | None:
    """What a worker would claim next, without the wait that lets further changes join; None if nothing waits."""
    Stack.objects.update(last_started_at=None)
    return next(iter(leases.claim("worker", 1)), None)


def claim_one() -> Deployment:
    """The same, where something waits."""
    deployment = claim_next()
    assert deployment is not None, "nothing waits"
    return deployment


def lease_end() -> datetime:
    """When the lease of the only stack runs out."""
    end = Stack.objects.get().lease_expires_at
    assert end is not None, "nobody holds it"
    return end


def carry_out(
    deployment: Deployment,
    deployers: Sequence[Deployer],
    *,
    heart: Heartbeat | None = None,
    hand_over: threading.Event | None = None,
    assembly: Assembly | None = None,
) -> Deployment:
    """One try of a claimed deployment, in the test's own thread."""
    heart = heart or Heartbeat("worker")
    heart.hold(deployment)
    Run(deployment, heart, hand_over or threading.Event()).carry_out(assembly, deployers)
    heart.release(deployment)
    return Deployment.objects.select_related("stack").get(pk=deployment.pk)


def run_one(*deployers: Deployer, **more: Any) -> Deployment:
    """Claim one deployment and make one try of it."""
    return carry_out(claim_one(), deployers, **more)


def reconcile_all(*deployers: Deployer) -> int:
    """Do what a worker does until nothing waits that may begin now, and return how many tries that took."""
    ran = 0
    while deployment := claim_next():
        carry_out(deployment, deployers)
        ran += 1
    return ran


class Listener:
    """A watcher that notes what it is told, and says yes unless told otherwise."""

    def __init__(self, *, go: bool = True, tick: Callable[[], object] = lambda: None) -> None:
        self.lines: list[str] = []
        self.events: list[ResourceEvent] = []
        self.plans: list[Plan | None] = []
        self._go, self._tick = go, tick

    def line(self, text: str) -> None:
        self.lines.append(text)

    def resource(self, event: ResourceEvent) -> None:
        self.events.append(event)

    def tick(self) -> None:
        self._tick()

    def may_execute(self, plan: Plan | None) -> bool:
        self.plans.append(plan)
        return self._go
