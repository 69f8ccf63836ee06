"""Removing a stack that AWS is to hold no more, in place of deploying it.

What is really there is looked at first, so that whoever takes over from a worker that died goes on where AWS stands.
"""

from control_plane.base import aws
from control_plane.base.aws import Place
from control_plane.base.config import config
from control_plane.base.polling import poll_until
from control_plane.deployments import cloudformation, failures
from control_plane.deployments.cloudformation import Observation
from control_plane.deployments.deployers.port import ResourceEvent, Watcher
from control_plane.deployments.engine import repair
from control_plane.deployments.models import Stack
from control_plane.deployments.plans import Plan, ResourceChange

POLL_SECONDS = 0.5
REMOVED = "DELETE_COMPLETE"
GONE = frozenset({"", REMOVED})


def planned(observation: Observation, place: Place) -> Plan:
    """Everything in the stack goes. Raises AwsFailure."""
    resources = cloudformation.resources(observation.stack_id, place)
    return Plan(resources=[ResourceChange(one.logical_id, one.type, "remove") for one in resources])


def carry_out(stack: Stack, before: Observation, watcher: Watcher) -> Observation:
    """Have CloudFormation remove the stack and wait until it has, telling each of its events.

    Raises NotRepaired with what holds it, or AwsFailure; what the watcher raises ends the waiting, and CloudFormation goes on.
    """
    # By its identifier: once it is removed its name finds it no more.
    name = before.stack_id or stack.name
    began = seen = cloudformation.newest_event(name, stack.place)
    with aws.explained():
        cloudformation.client(stack.place).delete_stack(StackName=name)

    def look() -> Observation:
        nonlocal seen
        watcher.tick()
        seen = _tell(name, stack.place, seen, watcher)
        return cloudformation.observe(name, stack.place)

    ends = (*GONE, "DELETE_FAILED")
    seconds = config().cohort_deploy_seconds
    observation = poll_until(look, lambda now: now.status in ends, seconds=seconds, every=POLL_SECONDS)
    if observation.status not in ends:
        raise repair.NotRepaired(repair.too_long(stack, observation))
    _tell(name, stack.place, seen, watcher)
    if observation.status in GONE:
        return Observation(REMOVED, stack_id=before.stack_id)
    failed = cloudformation.first_failure(name, stack.place, began)
    raise repair.NotRepaired(failures.of_removal(failed, observation.status))


def _tell(name: str, place: Place, seen: str, watcher: Watcher) -> str:
    """Tell the events after `seen`, in their order. Returns the newest."""
    for event in cloudformation.events_after(name, place, seen):
        watcher.resource(ResourceEvent(event.logical_id, event.type, event.status, event.reason))
        seen = event.event_id
    return seen
