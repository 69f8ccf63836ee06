"""Deletion of a retired stack, in place of a deployment.

It starts from what AWS really holds, so that a worker that takes over from one that died goes on from there.
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


def deletion_plan(observation: Observation, place: Place) -> Plan:
    """Return the plan that removes every resource of the stack. Raises AwsFailure."""
    resources = cloudformation.resources(observation.stack_id, place)
    return Plan(resources=[ResourceChange(resource.logical_id, resource.type, "remove") for resource in resources])


def delete_stack(stack: Stack, before: Observation, watcher: Watcher) -> Observation:
    """Have CloudFormation delete the stack, and wait for it, passing each of its events to the watcher.

    Raises NotRepaired with the resource that prevents it, or AwsFailure; what the watcher raises ends the waiting, and
    CloudFormation goes on.
    """
    # By its id: a deleted stack cannot be described by its name.
    name = before.stack_id or stack.name
    began = seen = cloudformation.newest_event(name, stack.place)
    with aws.translated_errors():
        cloudformation.client(stack.place).delete_stack(StackName=name)

    def look() -> Observation:
        nonlocal seen
        watcher.tick()
        seen = _pass_events(name, stack.place, seen, watcher)
        return cloudformation.observe(name, stack.place)

    ends = (*GONE, "DELETE_FAILED")
    seconds = config().cohort_deploy_seconds
    observation = poll_until(look, lambda now: now.status in ends, seconds=seconds, every=POLL_SECONDS)
    if observation.status not in ends:
        raise repair.NotRepaired(repair.too_long(stack, observation))
    _pass_events(name, stack.place, seen, watcher)
    if observation.status in GONE:
        return Observation(REMOVED, stack_id=before.stack_id)
    failed = cloudformation.first_failure(name, stack.place, began)
    raise repair.NotRepaired(failures.problem_from_removal(failed, observation.status))


def _pass_events(name: str, place: Place, seen: str, watcher: Watcher) -> str:
    """Pass the events after `seen` to the watcher, oldest first. Returns the newest event's id."""
    for event in cloudformation.events_after(name, place, seen):
        watcher.resource(ResourceEvent(event.logical_id, event.type, event.status, event.reason))
        seen = event.event_id
    return seen
