"""Repair of stack states that block a deployment, done before each try.

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
from control_plane.deployments.failures import DeploymentProblem
from control_plane.deployments.models import Failure, Stack

POLL_SECONDS = 0.5
# States that hold nothing worth keeping: the stack was never complete, or was being removed.
DELETE_FIRST_STATES = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS", "DELETE_FAILED"})
ROLLBACK_FIRST_STATES = frozenset({"UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED"})


class NotRepaired(RuntimeError):
    """The stack cannot be brought into a state that it can be deployed from."""

    def __init__(self, problem: DeploymentProblem) -> None:
        super().__init__(problem.error)
        self.problem = problem


def settle(stack: Stack, *, tell: Tell, tick: Tick) -> tuple[Observation, bool]:
    """Wait until CloudFormation is not at work on the stack, and repair the states that block a deployment.

    Returns the stack's observation, and whether something may have been left changed that only a drift-aware change set puts
    back. Raises NotRepaired or AwsFailure; what `tick` raises ends the waiting.
    """
    observation = wait_for_rest(stack, tell=tell, tick=tick)
    if observation.status in DELETE_FIRST_STATES:
        tell(f"{stack.name} is {observation.status}, which cannot be deployed to: removing it first")
        return _delete(stack, observation, tell=tell, tick=tick), False
    if observation.status in ROLLBACK_FIRST_STATES:
        tell(f"{stack.name} is {observation.status}: having CloudFormation go on with taking its changes back")
        return _roll_back(stack, observation, tell=tell, tick=tick), True
    return observation, False


def wait_for_rest(stack: Stack, *, tell: Tell, tick: Tick) -> Observation:
    """Wait until CloudFormation is not at work on the stack, and return its observation. Raises NotRepaired or AwsFailure."""
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


def too_long(stack: Stack, observation: Observation) -> DeploymentProblem:
    """Describe that CloudFormation has not ended within the time that a deployment may take."""
    return DeploymentProblem(
        f"CloudFormation has been at work on {stack.name} ({observation.status}) for longer than "
        f"{config().cohort_deploy_seconds} s.",
        "It goes on, and Cohort checks it again by itself; see the stack in CloudFormation’s console.",
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
        DeploymentProblem(
            f"The stack is {observation.status}{what}",
            "It has to be removed before it can be made again. Remove what holds it on AWS, then deploy again.",
            Failure.PERMANENT,
        )
    )


def _roll_back(stack: Stack, before: Observation, *, tell: Tell, tick: Tick) -> Observation:
    client = cloudformation.client(stack.place)
    if before.status == "UPDATE_FAILED":
        _start(lambda: client.rollback_stack(StackName=stack.name))
    else:
        _start(lambda: client.continue_update_rollback(StackName=stack.name))
    observation = wait_for_rest(stack, tell=tell, tick=tick)
    if observation.status != "UPDATE_ROLLBACK_FAILED":
        return observation
    skipped = _failed_resources(stack)
    tell(f"It failed again; going on without {', '.join(skipped)}, which the deployment then puts right")
    _start(lambda: client.continue_update_rollback(StackName=stack.name, ResourcesToSkip=skipped))
    observation = wait_for_rest(stack, tell=tell, tick=tick)
    if observation.status == "UPDATE_ROLLBACK_FAILED":
        raise NotRepaired(
            DeploymentProblem(
                f"CloudFormation cannot take its last update of {stack.name} back, not even without {', '.join(skipped)}.",
                "AWS holds a part of that update. Mend these resources in CloudFormation’s console, then deploy again.",
                Failure.PERMANENT,
            )
        )
    return observation


def _failed_resources(stack: Stack) -> list[str]:
    nested = cloudformation.nested_stacks(stack.name, stack.place)
    failed = _failed_in(stack, stack.name) or _failed_by_events(stack)
    skipped = [name for name in failed if name not in nested]
    # A nested stack cannot be left out as a whole: what failed in it is named by the nested stack's own name.
    for logical_id in set(failed) & nested.keys():
        name = nested[logical_id].split(":stack/")[-1].split("/")[0]
        skipped += [f"{name}.{inner}" for inner in _failed_in(stack, nested[logical_id])]
    return sorted(skipped)


def _failed_in(stack: Stack, name: str) -> list[str]:
    """Return the resources that CloudFormation lists as failed, of the stack or of one nested in it."""
    with aws.translated_errors():
        pages = cloudformation.client(stack.place).get_paginator("list_stack_resources").paginate(StackName=name)
        resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return [resource["LogicalResourceId"] for resource in resources if resource["ResourceStatus"].endswith("_FAILED")]


def _failed_by_events(stack: Stack) -> list[str]:
    """Return the resources that failed since the last rollback began, by the stack's events."""
    failed: set[str] = set()
    with aws.translated_errors():
        events = cloudformation.client(stack.place).describe_stack_events(StackName=stack.name)["StackEvents"]
    for event in events:
        if event["LogicalResourceId"] == stack.name and event.get("ResourceStatus") == "UPDATE_ROLLBACK_IN_PROGRESS":
            break
        if event.get("ResourceStatus", "").endswith("_FAILED") and event["LogicalResourceId"] != stack.name:
            failed.add(event["LogicalResourceId"])
    return sorted(failed)


def _start(call: Callable[[], object]) -> None:
    with aws.translated_errors():
        try:
            call()
        except ClientError as error:
            # Already begun, by somebody else or by an earlier try: the caller waits for the same end.
            if error.response["Error"].get("Code") != "ValidationError" or "IN_PROGRESS" not in str(error):
                raise
