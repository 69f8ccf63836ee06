"""What a failure means: tried again by itself, repaired first, or shown to the administrator with what to do.

Judged by CloudFormation's events and states and by AWS's error codes, never by a command line's exit status.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.base import aws
from control_plane.base.aws import AwsFailure
from control_plane.deployments.models import Failure

# What a resource's handler failed with, which CloudFormation appends to its reason as "HandlerErrorCode: ...". Source:
# CloudFormation CLI user guide, "Resource type handler error codes". AWS calls the first four retriable.
PASSING_HANDLER_CODES = frozenset(
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
# "timeout-lab". What is in neither set (GeneralServiceException, InvalidRequest, NotFound) the message decides.
LASTING_HANDLER_CODES = frozenset(
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
_PASSING_WORDS = re.compile(
    r"rate exceeded|throttl|slow ?down|service ?unavailable|internal ?(failure|error|server)|timed? ?out|timeout"
    # Whole words: AWS's ResourceNotFoundException holds the letters of the network's ENOTFOUND.
    r"|\beconnre(set|fused)\b|\be(net|host)unreach\b|\benotfound\b|\beai_again\b|socket hang up|connection (reset|refused|aborted)"
    # With what ails it: groups may be called after networks too.
    r"|network(ing)? ?(error|failure|socket|is (down|unreachable))|(http|status)( ?code)?[ :]*50[0234]"
    r"|concurrent ?modification|temporarily ?unmodifiable|conflicting conditional (operation|action)|operation ?aborted"
    # Not "Please try again with any of the valid types", which asks for another request.
    r"|please try again(?! with\b)|is in [A-Z_]+_IN_PROGRESS state|no space left|ENOSPC|database or disk is full",
    re.IGNORECASE,
)
# CloudFormation's reason where a resource that it should change is not there any more (each type's handler, "NotFound").
_GONE_WORDS = re.compile(r"was not found|cannot be found|can't find|notfound|no ?such ?entity|does not exist", re.IGNORECASE)
# The same of a principal, to whoever may act under paths alone as CDK's execution role may: IAM does not know the path of what is
# not there, and so refuses (see `iam_lookups`). It is told in the same words as a right that is missing.
_GONE_OR_REFUSED = re.compile(r"not authorized to perform: iam:\w+ on resource: (user|group|role) cohort-")
# States that a stack cannot be updated from, and that `repair` knows the way out of.
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
MAX_LISTED = 9
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
class Problem:
    """What went wrong in one try: the words for a person, and the kind that decides what follows."""

    error: str
    advice: str
    kind: Failure
    # The next try also puts back what was changed outside Cohort.
    revert_drift: bool = False
    # Without which it would have gone on, as far as CloudFormation said.
    resources: tuple[FailedResource, ...] = ()


def of_aws(error: AwsFailure) -> Problem:
    """Describe that AWS could not be used."""
    return Problem(str(error), error.advice, Failure.RETRYABLE if error.is_passing else Failure.PERMANENT)


def of_text(text: str) -> Failure:
    """The kind of failure that a message of AWS, of CDK or of the network tells. Where it names handlers' codes, those decide."""
    codes = set(_HANDLER_CODE.findall(text))
    if codes & LASTING_HANDLER_CODES:
        return Failure.PERMANENT
    if codes & PASSING_HANDLER_CODES:
        return Failure.RETRYABLE
    return Failure.RETRYABLE if _PASSING_WORDS.search(text) else Failure.PERMANENT


def of_resource(failed: FailedResource, status: str) -> Problem:
    """A change that CloudFormation ended with the stack in `status`, because of this resource."""
    error = f"CloudFormation could not make {failed.resource_type} “{failed.logical_id}”: {failed.reason}"
    if of_text(failed.reason) == Failure.RETRYABLE:
        return Problem(error, f"{_what_is_held(status)} It is tried again by itself.", Failure.RETRYABLE)
    if _GONE_WORDS.search(failed.reason) and status.startswith("UPDATE"):
        advice = f"{_what_is_held(status)} Something was removed outside Cohort; the next try puts it back."
        return Problem(error, advice, Failure.REPAIRABLE, revert_drift=True)
    if _GONE_OR_REFUSED.search(failed.reason) and status.startswith("UPDATE"):
        advice = (
            f"{_what_is_held(status)} AWS says the same of what was removed outside Cohort, which the next try puts back, and of a "
            "right that CDK’s execution role lacks: if it fails again, run `manage.py doctor`."
        )
        return Problem(error, advice, Failure.REPAIRABLE, revert_drift=True)
    if status == "UPDATE_ROLLBACK_FAILED":
        advice = "CloudFormation could not take its changes back. The next try has it go on with that, and deploys again."
        return Problem(error, advice, Failure.REPAIRABLE, revert_drift=True)
    advice = f"{_what_is_held(status)} {explain(failed.reason, failed.resource_type)}"
    return Problem(error, advice, Failure.PERMANENT, resources=(failed,))


def of_refused(refused: Sequence[FailedResource]) -> Problem:
    """A change that CloudFormation refused before it began, because of these resources (one at least)."""
    error = " ".join(f"CloudFormation cannot make {one.resource_type} “{one.logical_id}”: {one.reason}" for one in refused)
    advice = f"{aws.NOTHING_CHANGED} {explain(refused[0].reason, refused[0].resource_type)}"
    return Problem(error, advice, Failure.PERMANENT, resources=tuple(refused))


def of_leftovers(left: Sequence[FailedResource]) -> Problem:
    """An update that is complete but for resources that could not be removed, and that CloudFormation forgets."""
    first = left[0]
    others = f" The same is true of {_listed(left[1:])}." if left[1:] else ""
    return Problem(
        f"CloudFormation could not remove {first.resource_type} “{first.logical_id}”: {first.reason}{others}",
        "Everything else is as wanted, but this is still there, and a key of it may still work. Remove it by hand on AWS, now; "
        "then deploy again. Until it is gone, no deployment of this stack counts as done.",
        Failure.PERMANENT,
    )


def _listed(resources: Sequence[FailedResource]) -> str:
    shown = ", ".join(f"{one.resource_type} “{one.logical_id}”" for one in resources[:MAX_LISTED])
    return f"{shown} and {len(resources) - MAX_LISTED} more" if len(resources) > MAX_LISTED else shown


def of_removal(failed: FailedResource | None, status: str) -> Problem:
    """A stack that could not be removed whole, and what holds it."""
    if failed is None:
        return Problem(f"The stack is {status} instead of removed.", "Correct the cause, then deploy again.", Failure.PERMANENT)
    error = f"CloudFormation could not remove {failed.resource_type} “{failed.logical_id}”: {failed.reason}"
    kind = of_text(failed.reason)
    what = "It is tried again by itself." if kind == Failure.RETRYABLE else explain(failed.reason)
    return Problem(error, f"The stack is {status}: this, and what it needs, is still there. {what}", kind)


def of_state(status: str, generation: int, wanted: int) -> Problem:
    """A stack that holds something else than was wanted, without a resource that failed."""
    error = f"The stack is {status or 'not there'} and holds generation {generation} instead of {wanted}."
    kind = Failure.REPAIRABLE if status in REPAIRABLE_STATES else Failure.PERMANENT
    return Problem(error, f"{_what_is_held(status)} Correct the cause, then deploy again.", kind)


def explain(reason: str, resource_type: str = "") -> str:
    """What to do about a reason that CloudFormation gives."""
    if resource_type == BUCKET and _NAME_TAKEN.search(reason):
        return _BUCKET_TAKEN
    return next((advice for pattern, advice in _EXPLAINED if pattern.search(reason)), "Correct the cause, then deploy again.")


def _what_is_held(status: str) -> str:
    if not status:
        return "AWS holds nothing of this stack."
    if "ROLLBACK_COMPLETE" in status:
        return "CloudFormation took its changes back, so AWS holds what it held before."
    return f"The stack is now {status}."
