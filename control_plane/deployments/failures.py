"""Classification of failures: retried, repaired first, or shown to the administrator with advice.

Judged by CloudFormation's events and states and by AWS's error codes, never by a command line's exit status.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.base import aws
from control_plane.base.aws import AwsFailure
from control_plane.deployments.models import Failure

# Error codes of a resource's handler, which CloudFormation appends to its reason as "HandlerErrorCode: ...". Source:
# CloudFormation CLI user guide, "Resource type handler error codes". AWS calls the first four retriable.
RETRYABLE_HANDLER_CODES = frozenset(
    {
        "NetworkFailure",
        "ResourceConflict",
        "ServiceInternalError",
        "Throttling",
        # Terminal there for the operation under way. A further try begins anew, and finds the resource ready where it only took
        # its time (IAM's delay, a secret's replica); our tries are bounded, and say after the last one that they did not help.
        "NotStabilized",
        # A fault of the handler itself, which the same page calls unexpected.
        "InternalFailure",
        "HandlerInternalFailure",
    }
)
# Terminal, and no further try changes anything: these count before any word of the message, which may quote a name such as
# "timeout-lab". Codes in neither set (GeneralServiceException, InvalidRequest, NotFound) are decided by the message.
PERMANENT_HANDLER_CODES = frozenset(
    {
        "AccessDenied",
        "AlreadyExists",
        "InvalidCredentials",
        "InvalidTypeConfiguration",
        "NonCompliant",
        "NotUpdatable",
        "ServiceLimitExceeded",
        "UnsupportedTarget",
    }
)
_HANDLER_CODE = re.compile(r"HandlerErrorCode: (\w+)")
_RETRYABLE_WORDS = re.compile(
    r"rate exceeded|throttl|slow ?down|service ?unavailable|internal ?(failure|error|server)|timed? ?out|timeout"
    # Whole words: AWS's ResourceNotFoundException holds the letters of the network's ENOTFOUND.
    r"|\beconnre(set|fused)\b|\be(net|host)unreach\b|\benotfound\b|\beai_again\b|socket hang up|connection (reset|refused|aborted)"
    # Only with a word for the failure: a group's name may contain "network" too.
    r"|network(ing)? ?(error|failure|socket|is (down|unreachable))|(http|status)( ?code)?[ :]*50[0234]"
    r"|concurrent ?modification|temporarily ?unmodifiable|conflicting conditional (operation|action)|operation ?aborted"
    # Not "Please try again with any of the valid types", which asks for another request.
    r"|please try again(?! with\b)|is in [A-Z_]+_IN_PROGRESS state|no space left|ENOSPC|database or disk is full",
    re.IGNORECASE,
)
# CloudFormation's reason if a resource that it should change no longer exists (each type's handler, "NotFound").
_GONE_WORDS = re.compile(r"was not found|cannot be found|can't find|notfound|no ?such ?entity|does not exist", re.IGNORECASE)
# The same of a principal, for a role whose rights name paths, such as CDK's execution role: IAM does not know the path of what does
# not exist, and so refuses (see `iam_lookups`), in the same words as for a missing right.
_GONE_OR_REFUSED = re.compile(r"not authorized to perform: iam:\w+ on resource: (user|group|role) cohort-")
# States after a change that CloudFormation carried out.
COMPLETE_STATES = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
# States that a stack cannot be updated from, and that `engine.repair` resolves.
REPAIRABLE_STATES = frozenset(
    {
        "REVIEW_IN_PROGRESS",
        "ROLLBACK_COMPLETE",
        "ROLLBACK_FAILED",
        "CREATE_FAILED",
        "DELETE_FAILED",
        "UPDATE_ROLLBACK_FAILED",
        "UPDATE_FAILED",
    }
)
MAX_LISTED_RESOURCES = 9
BUCKET = "AWS::S3::Bucket"

_NAME_TAKEN = re.compile(r"already ?exists|already ?owned|name .*(taken|in use|not available)", re.IGNORECASE)
_BUCKET_TAKEN = (
    "All AWS accounts share the names of buckets, and this one is taken. Its analysis is left out and everything else is deployed "
    "without it; open the analysis’s page to give it another bucket or to remove it."
)
_EXPLAINED = (
    # Before the names, and before what is to be deleted first: these say both.
    (re.compile(r"scheduled for deletion", re.IGNORECASE),
     "A secret of this name waits for its deletion, and keeps the name until then. Restore it or delete it at once in Secrets "
     "Manager, or wait until its days are over; then deploy again."),
    (re.compile(r"is not empty", re.IGNORECASE),
     "The bucket still holds objects, or older versions of some. If nobody needs them, empty it on AWS, all versions; then deploy "
     "again."),
    (_NAME_TAKEN,
     "Something else in the AWS account has this name, which is unique there whatever its path. Find out whose it is before "
     "you touch it: what Cohort itself or another site uses must stay, and then this needs another name. Otherwise rename or "
     "remove it on AWS, then deploy again."),
    (re.compile(r"limit ?exceeded|quota|cannot exceed", re.IGNORECASE),
     "A limit of the AWS account is reached. Remove what is not used, or ask AWS for more (Service Quotas), then deploy again."),
    # CDK goes on with the worker's own rights where it may not assume a role, and is refused a step later.
    (re.compile(r"not authorized to perform: (sts:AssumeRole|cloudformation:CreateChangeSet)"),
     "The worker may not use the role that deploys, which Cohort-Bootstrap makes. Bring both to one release (operations, "
     "“Upgrade”; `manage.py doctor` says what is older), then deploy again."),
    (re.compile(r"access ?denied|not authorized|unauthorized", re.IGNORECASE),
     "CDK’s execution role lacks this right. Give it the right, then deploy again."),
    (re.compile(r"malformed ?policy|invalid (policy|principal)|syntax errors in policy|contains invalid json", re.IGNORECASE),
     "AWS does not accept the policy that was made. This is a defect of the stacks: tell the platform engineer."),
    (re.compile(r"delete ?conflict|must (remove|delete|detach)", re.IGNORECASE),
     "Something outside Cohort still uses it. Detach that on AWS, then deploy again."),
)  # fmt: skip


@dataclass(frozen=True)
class FailedResource:
    """The resource that made a change fail, and CloudFormation's reason."""

    logical_id: str
    resource_type: str
    reason: str


@dataclass(frozen=True)
class DeploymentProblem:
    """Failure of one try: an error and advice for people, and the kind that decides what follows."""

    error: str
    advice: str
    kind: Failure
    # The next try also puts back what was changed outside Cohort.
    revert_drift: bool = False
    # The resources that caused it, as far as CloudFormation named them.
    resources: tuple[FailedResource, ...] = ()


def problem_from_aws(error: AwsFailure) -> DeploymentProblem:
    """Describe that AWS could not be used."""
    return DeploymentProblem(str(error), error.advice, Failure.RETRYABLE if error.is_passing else Failure.PERMANENT)


def classify_text(text: str) -> Failure:
    """Return the kind of failure of a message of AWS, CDK or the network. Handler error codes in it decide, if there are any."""
    codes = set(_HANDLER_CODE.findall(text))
    if codes & PERMANENT_HANDLER_CODES:
        return Failure.PERMANENT
    if codes & RETRYABLE_HANDLER_CODES:
        return Failure.RETRYABLE
    return Failure.RETRYABLE if _RETRYABLE_WORDS.search(text) else Failure.PERMANENT


def problem_from_resource(failed: FailedResource, status: str) -> DeploymentProblem:
    """Describe a change that CloudFormation ended with the stack in `status`, because of this resource."""
    error = f"CloudFormation could not make {failed.resource_type} “{failed.logical_id}”: {failed.reason}"
    if classify_text(failed.reason) == Failure.RETRYABLE:
        return DeploymentProblem(error, f"{_held_state(status)} It is tried again by itself.", Failure.RETRYABLE)
    if _GONE_WORDS.search(failed.reason) and status.startswith("UPDATE"):
        advice = f"{_held_state(status)} Something was removed outside Cohort; the next try puts it back."
        return DeploymentProblem(error, advice, Failure.REPAIRABLE, revert_drift=True)
    if _GONE_OR_REFUSED.search(failed.reason) and status.startswith("UPDATE"):
        advice = (
            f"{_held_state(status)} AWS says the same of what was removed outside Cohort, which the next try puts back, and of a "
            "right that CDK’s execution role lacks: if it fails again, run `manage.py doctor`."
        )
        return DeploymentProblem(error, advice, Failure.REPAIRABLE, revert_drift=True)
    if status == "UPDATE_ROLLBACK_FAILED":
        advice = "CloudFormation could not take its changes back. The next try has it go on with that, and deploys again."
        return DeploymentProblem(error, advice, Failure.REPAIRABLE, revert_drift=True)
    advice = f"{_held_state(status)} {advice_for(failed.reason, failed.resource_type)}"
    return DeploymentProblem(error, advice, Failure.PERMANENT, resources=(failed,))


def problem_from_refused(refused: Sequence[FailedResource]) -> DeploymentProblem:
    """Describe a change that CloudFormation refused before it began, because of these resources (one at least)."""
    error = " ".join(
        f"CloudFormation cannot make {resource.resource_type} “{resource.logical_id}”: {resource.reason}" for resource in refused
    )
    advice = f"{aws.NOTHING_CHANGED} {advice_for(refused[0].reason, refused[0].resource_type)}"
    return DeploymentProblem(error, advice, Failure.PERMANENT, resources=tuple(refused))


def problem_from_leftovers(left: Sequence[FailedResource]) -> DeploymentProblem:
    """Describe an update that is complete but for resources that could not be removed, and that CloudFormation forgets."""
    first = left[0]
    others = f" The same is true of {_listed(left[1:])}." if left[1:] else ""
    return DeploymentProblem(
        f"CloudFormation could not remove {first.resource_type} “{first.logical_id}”: {first.reason}{others}",
        "Everything else is as wanted, but this is still there, and a key of it may still work. Remove it by hand on AWS, now; "
        "then deploy again. Until it is gone, no deployment of this stack counts as done.",
        Failure.PERMANENT,
    )


def _listed(resources: Sequence[FailedResource]) -> str:
    shown = ", ".join(f"{resource.resource_type} “{resource.logical_id}”" for resource in resources[:MAX_LISTED_RESOURCES])
    return f"{shown} and {len(resources) - MAX_LISTED_RESOURCES} more" if len(resources) > MAX_LISTED_RESOURCES else shown


def problem_from_removal(failed: FailedResource | None, status: str) -> DeploymentProblem:
    """Describe a stack that could not be deleted completely, and the resource that prevents it."""
    if failed is None:
        return DeploymentProblem(
            f"The stack is {status} instead of removed.", "Correct the cause, then deploy again.", Failure.PERMANENT
        )
    error = f"CloudFormation could not remove {failed.resource_type} “{failed.logical_id}”: {failed.reason}"
    kind = classify_text(failed.reason)
    what = "It is tried again by itself." if kind == Failure.RETRYABLE else advice_for(failed.reason)
    return DeploymentProblem(error, f"The stack is {status}: this, and what it needs, is still there. {what}", kind)


def problem_from_state(status: str, generation: int, wanted: int) -> DeploymentProblem:
    """Describe a stack that holds something else than was wanted, without a resource that failed.

    Complete at an older generation, with nothing that failed, was seen with two workers under many faults at once; what led
    there is not known. Nothing in it needs a person: it is tried again, and each try looks at AWS first.
    """
    error = f"The stack is {status or 'not there'} and has generation {generation} instead of {wanted}."
    if status in COMPLETE_STATES and generation < wanted:
        return DeploymentProblem(error, "AWS took no change and refused none. It is tried again by itself.", Failure.RETRYABLE)
    kind = Failure.REPAIRABLE if status in REPAIRABLE_STATES else Failure.PERMANENT
    return DeploymentProblem(error, f"{_held_state(status)} Correct the cause, then deploy again.", kind)


def advice_for(reason: str, resource_type: str = "") -> str:
    """Return advice about a reason that CloudFormation gives."""
    if resource_type == BUCKET and _NAME_TAKEN.search(reason):
        return _BUCKET_TAKEN
    return next((advice for pattern, advice in _EXPLAINED if pattern.search(reason)), "Correct the cause, then deploy again.")


def _held_state(status: str) -> str:
    if not status:
        return "AWS holds nothing of this stack."
    if "ROLLBACK_COMPLETE" in status:
        return "CloudFormation took its changes back, so AWS holds what it held before."
    return f"The stack is now {status}."
