"""Leftovers: resources that CloudFormation could not remove, found in its events and kept on the stack's row until they are gone.

CloudFormation tries three times to remove what an update takes away, then skips it, calls the update complete and knows of it no
more (AWS knowledge centre, "Why is my CloudFormation stack stuck in ..._CLEANUP_IN_PROGRESS?"). A key of it may still work.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from control_plane.base import aws
from control_plane.base.aws import Place
from control_plane.deployments import cloudformation, iam_users
from control_plane.deployments.failures import DeploymentProblem, FailedResource, problem_from_leftovers
from control_plane.deployments.models import Stack, StoredManifest
from stacks import names

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

# Of more leftovers than this, a list would help nobody.
MAX_LEFTOVERS = 100
_REMOVED = frozenset({"DELETE_COMPLETE", "DELETE_SKIPPED"})
_ABSENT = frozenset({"NoSuchEntity", "NoSuchBucket", "NoSuchBucketPolicy", "ResourceNotFoundException", "404"})
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException"})


@dataclass(frozen=True)
class Leftover:
    """One resource that CloudFormation could not remove. `owner` is the IAM user of an access key."""

    logical_id: str
    type: str
    physical_id: str
    reason: str
    owner: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, for the stack's row."""
        return asdict(self)


def remembered_leftovers(stack: Stack) -> list[Leftover]:
    """Return the leftovers that the stack's row remembers."""
    return [Leftover(**document) for document in stack.leftovers]


def find_leftovers(stack: Stack, after: str | None, *, stack_id: str = "") -> list[Leftover]:
    """Return what is left on AWS of the remembered leftovers, and of resources whose removal failed since the event `after`.

    With `after` None no events are read. Raises AwsFailure.
    """
    candidates = {leftover.physical_id: leftover for leftover in remembered_leftovers(stack)}
    if after is not None:
        candidates |= {leftover.physical_id: leftover for leftover in failed_removals(stack_id or stack.name, stack.place, after)}
    return still_there(stack, candidates.values()) if candidates else []


def still_there(stack: Stack, candidates: Iterable[Leftover]) -> list[Leftover]:
    """Return those that AWS holds, or may hold, and that the stack does not hold again. Raises AwsFailure."""
    lookup = LeftoverLookup(stack)
    return [leftover for leftover in candidates if not lookup.is_gone(leftover)][:MAX_LEFTOVERS]


def leftovers_problem(left: Sequence[Leftover]) -> DeploymentProblem:
    """Describe the failure of a run that leaves these."""
    return problem_from_leftovers([FailedResource(_named(leftover), leftover.type, leftover.reason) for leftover in left])


def failed_removals(stack_name: str, place: Place, after: str) -> list[Leftover]:
    """Return resources whose last removal since the event `after` failed, in nested stacks too. Raises AwsFailure."""
    with aws.translated_errors():
        events = cloudformation.all_events_after(stack_name, place, after)
    last: dict[tuple[str, str], StackEventTypeDef] = {}
    for event in reversed(events):
        status = event.get("ResourceStatus", "")
        if event.get("PhysicalResourceId") == event["StackId"] or not (status in _REMOVED or status == "DELETE_FAILED"):
            continue
        last[event.get("ResourceType", ""), event.get("PhysicalResourceId") or event.get("LogicalResourceId", "")] = event
    return [_leftover(event) for event in last.values() if event.get("ResourceStatus") == "DELETE_FAILED"]


def _leftover(event: "StackEventTypeDef") -> Leftover:
    logical_id = event.get("LogicalResourceId", "")
    return Leftover(
        logical_id,
        event.get("ResourceType", ""),
        event.get("PhysicalResourceId") or logical_id,
        event.get("ResourceStatusReason", ""),
        _owner(event.get("ResourceProperties", "")),
    )


def _owner(properties: str) -> str:
    """Return the user of an access key, from the event's resource properties; empty if they do not name one."""
    try:
        document = json.loads(properties)
    except (ValueError, RecursionError):
        return ""
    return str(document.get("UserName", "")) if isinstance(document, dict) else ""


def _named(leftover: Leftover) -> str:
    return (
        leftover.logical_id
        if leftover.physical_id in ("", leftover.logical_id)
        else f"{leftover.logical_id} ({leftover.physical_id})"
    )


class LeftoverLookup:
    """Lookup of whether leftovers are gone, with each answer cached. What cannot be told is taken to exist."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._iam = aws.client("iam", stack.place)
        self._users: set[str] | None = None
        self._held: set[str] | None = None
        self._may_look: bool | None = None

    def is_gone(self, leftover: Leftover) -> bool:
        """Return whether AWS no longer holds it, or the stack holds it again. Raises AwsFailure."""
        with aws.translated_errors():
            return self._is_absent(leftover) or leftover.physical_id in self._in_stack()

    def _is_absent(self, leftover: Leftover) -> bool:
        name, place = leftover.physical_id, self._stack.place
        if leftover.type == "AWS::IAM::User":
            return name not in self._existing_users()
        if leftover.type == "AWS::IAM::AccessKey":
            return self._is_key_absent(leftover)
        if leftover.type == cloudformation.STACK_TYPE:
            return cloudformation.observe(name, place).status in ("", "DELETE_COMPLETE")
        if (ask := self._requests_by_type(name).get(leftover.type)) is None:
            return False
        try:
            # A secret that is scheduled for deletion can no longer be read.
            return "DeletedDate" in ask()
        except ClientError as error:
            return self._means_absent(error)

    def _requests_by_type(self, name: str) -> dict[str, Callable[[], Any]]:
        """Return the request that looks up a resource by its name, by resource type."""
        place = self._stack.place
        return {
            "AWS::IAM::Group": lambda: self._iam.get_group(GroupName=name, MaxItems=1),
            "AWS::IAM::Role": lambda: self._iam.get_role(RoleName=name),
            "AWS::IAM::ManagedPolicy": lambda: self._iam.get_policy(PolicyArn=name),
            "AWS::SecretsManager::Secret": lambda: aws.client("secretsmanager", place).describe_secret(SecretId=name),
            "AWS::S3::Bucket": lambda: aws.client("s3", place).get_bucket_location(Bucket=name),
            "AWS::S3::BucketPolicy": lambda: aws.client("s3", place).get_bucket_policy(Bucket=name),
        }

    def _existing_users(self) -> set[str]:
        """Return the users under the group's path, by a list: IAM denies access if asked for a single user that does not exist."""
        if self._users is None:
            slug = _slug(self._stack)
            self._users = iam_users.users_under(names.iam_path(slug), self._stack.place) if slug else set()
        return self._users

    def _is_key_absent(self, leftover: Leftover) -> bool:
        # If the event does not name the key's user, every user of the group is searched.
        owners = self._existing_users() & {leftover.owner} if leftover.owner else self._existing_users()
        pages = (page for user in sorted(owners) for page in self._iam.get_paginator("list_access_keys").paginate(UserName=user))
        return leftover.physical_id not in {key["AccessKeyId"] for page in pages for key in page["AccessKeyMetadata"]}

    def _means_absent(self, error: ClientError) -> bool:
        """Return whether the error means that the resource does not exist. Raises the error if it means something else.

        Our rights name paths, and what does not exist has none: IAM then answers AccessDenied, as without the right to look at
        all. If the group's role, which exists, can be read, AccessDenied means that the resource does not exist.
        """
        code = error.response["Error"].get("Code", "")
        if code in _ABSENT:
            return True
        if code in _REFUSED:
            return self._may_look_at_ours()
        raise error

    def _may_look_at_ours(self) -> bool:
        if self._may_look is None:
            slug = _slug(self._stack)
            try:
                self._may_look = bool(slug and self._iam.get_role(RoleName=names.role(slug)))
            except ClientError:
                self._may_look = False
        return self._may_look

    def _in_stack(self) -> set[str]:
        if self._held is None:
            held = cloudformation.resources(self._stack.name, self._stack.place)
            self._held = {resource.physical_id for resource in held if not resource.status.startswith("DELETE_")}
        return self._held


def _slug(stack: Stack) -> str:
    """Return the group's slug, or an empty string for a platform stack."""
    manifest = StoredManifest.objects.group_at(stack, stack.generation)
    return manifest.slug if manifest else ""
