"""The known ways out of states in which a stack cannot be deployed, taken before each try.

Source: CloudFormation's user guide, "Troubleshooting" and "Continue rolling back an update".
"""

import time
from collections.abc import Callable

from botocore.exceptions import ClientError

from control_plane.base import aws
from control_plane.base.config import config
from control_plane.deployments import cloudformation
from control_plane.deployments.cloudformation import Observation
from control_plane.deployments.deployers.port import Tell, Tick
from control_plane.deployments.failures import Problem
from control_plane.deployments.models import Failure, Stack

POLL_SECONDS = 0.5
# States that hold nothing worth keeping: the stack was never complete, or was being removed.
STILLBORN = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS", "DELETE_FAILED"})
HALF_DONE = frozenset({"UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED"})


class NotRepaired(RuntimeError):
    """The stack cannot be brought into a state that it can be deployed from."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.error)
        self.problem = problem


def settle(stack: Stack, *, tell: Tell, tick: Tick) -> tuple[Observation, bool]:
    """Wait until CloudFormation is not at work on the stack, and lead it out of the states that block a deployment.

    Returns the stack as it is then, and whether something may have been left changed that only a drift-aware change set puts
    back. Raises NotRepaired or AwsFailure; what `tick` raises ends the waiting.
    """
    observation = wait_for_rest(stack, tell=tell, tick=tick)
    if observation.status in STILLBORN:
        tell(f"{stack.name} is {observation.status}, which cannot be deployed to: removing it first")
        return _delete(stack, observation, tell=tell, tick=tick), False
    if observation.status in HALF_DONE:
        tell(f"{stack.name} is {observation.status}: having CloudFormation go on with taking its changes back")
        return _roll_back(stack, observation, tell=tell, tick=tick), True
    return observation, False


def wait_for_rest(stack: Stack, *, tell: Tell, tick: Tick) -> Observation:
    """The stack once CloudFormation is not at work on it any more."""
    observation = cloudformation.observe(stack.name, stack.place)
    if observation.is_in_progress:
        tell(f"{stack.name} is {observation.status}: waiting until CloudFormation has ended")
    deadline = time.monotonic() + config().cohort_deploy_seconds
    while observation.is_in_progress:
        tick()
        if time.monotonic() > deadline:
            raise NotRepaired(too_long(stack, observation))
        time.sleep(POLL_SECONDS)
        observation = cloudformation.observe(stack.name, stack.place)
    return observation


def too_long(stack: Stack, observation: Observation) -> Problem:
    """CloudFormation has not ended within the time that a deployment may take."""
    return Problem(
        f"CloudFormation has been at work on {stack.name} ({observation.status}) for longer than "
        f"{config().cohort_deploy_seconds} s.",
        "It goes on. It is looked at again by itself; see the stack in CloudFormation’s console.",
        Failure.RETRYABLE,
    )


def _delete(stack: Stack, before: Observation, *, tell: Tell, tick: Tick) -> Observation:
    after_event = cloudformation.newest_event(stack.name, stack.place)
    with aws.translated_errors():
        cloudformation.client(stack.place).delete_stack(StackName=before.stack_id or stack.name)
    observation = wait_for_rest(stack, tell=tell, tick=tick)
    if observation.status in ("", "DELETE_COMPLETE"):
        return Observation()
    failed = cloudformation.first_failure(stack.name, stack.place, after_event)
    what = f": {failed.resource_type} “{failed.logical_id}” could not be removed: {failed.reason}" if failed else ""
    raise NotRepaired(
        Problem(
            f"The stack is {observation.status}{what}",
            "It has to be removed before it can be made again. Remove what holds it on AWS, then deploy again.",
            Failure.PERMANENT,
        )
    )


def _roll_back(stack: Stack, before: Observation, *, tell: Tell, tick: Tick) -> Observation:
    client = cloudformation.client(stack.place)
    if before.status == "UPDATE_FAILED":
        _ask(lambda: client.rollback_stack(StackName=stack.name))
    else:
        _ask(lambda: client.continue_update_rollback(StackName=stack.name))
    observation = wait_for_rest(stack, tell=tell, tick=tick)
    if observation.status != "UPDATE_ROLLBACK_FAILED":
        return observation
    skipped = _failed_resources(stack)
    tell(f"It failed again; going on without {', '.join(skipped)}, which the deployment then puts right")
    _ask(lambda: client.continue_update_rollback(StackName=stack.name, ResourcesToSkip=skipped))
    observation = wait_for_rest(stack, tell=tell, tick=tick)
    if observation.status == "UPDATE_ROLLBACK_FAILED":
        raise NotRepaired(
            Problem(
                f"CloudFormation cannot take its last update of {stack.name} back, not even without {', '.join(skipped)}.",
                "AWS holds a part of that update. Mend these resources in CloudFormation’s console, then deploy again.",
                Failure.PERMANENT,
            )
        )
    return observation


def _failed_resources(stack: Stack) -> list[str]:
    nested = cloudformation.nested_stacks(stack.name, stack.place)
    failed = _failed_in(stack, stack.name) or _from_events(stack)
    skipped = [name for name in failed if name not in nested]
    # A nested stack cannot be left out as a whole: what failed in it is named by the nested stack's own name.
    for logical_id in set(failed) & nested.keys():
        name = nested[logical_id].split(":stack/")[-1].split("/")[0]
        skipped += [f"{name}.{inner}" for inner in _failed_in(stack, nested[logical_id])]
    return sorted(skipped)


def _failed_in(stack: Stack, name: str) -> list[str]:
    """The resources that CloudFormation says have failed, of the stack or of one nested in it."""
    with aws.translated_errors():
        pages = cloudformation.client(stack.place).get_paginator("list_stack_resources").paginate(StackName=name)
        resources = [one for page in pages for one in page["StackResourceSummaries"]]
    return [one["LogicalResourceId"] for one in resources if one["ResourceStatus"].endswith("_FAILED")]


def _from_events(stack: Stack) -> list[str]:
    """The resources that failed last by the events, newest first, back to where the rollback began."""
    found: set[str] = set()
    with aws.translated_errors():
        events = cloudformation.client(stack.place).describe_stack_events(StackName=stack.name)["StackEvents"]
    for event in events:
        if event["LogicalResourceId"] == stack.name and event.get("ResourceStatus") == "UPDATE_ROLLBACK_IN_PROGRESS":
            break
        if event.get("ResourceStatus", "").endswith("_FAILED") and event["LogicalResourceId"] != stack.name:
            found.add(event["LogicalResourceId"])
    return sorted(found)


def _ask(call: Callable[[], object]) -> None:
    with aws.translated_errors():
        try:
            call()
        except ClientError as error:
            # Somebody else, or an earlier try of ours, has begun it already: what is waited for then is the same.
            if error.response["Error"].get("Code") != "ValidationError" or "IN_PROGRESS" not in str(error):
                raise
