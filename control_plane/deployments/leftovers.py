"""What CloudFormation could not remove and left on AWS: found in the events, remembered on the stack's row until it is gone.

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
from control_plane.deployments.failures import FailedResource, Problem, of_leftovers
from control_plane.deployments.models import Stack, StoredManifest
from stacks.manifest import names

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

# A stack that has more than this left is in a worse state than a list can tell.
MAX_REMEMBERED = 100
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
        """For the stack's row."""
        return asdict(self)


def known(stack: Stack) -> list[Leftover]:
    """Those that the stack's row remembers."""
    return [Leftover(**one) for one in stack.leftovers]


def look(stack: Stack, after: str | None, *, stack_id: str = "") -> list[Leftover]:
    """What is left on AWS: of those that are remembered, and of those whose removal failed since the event `after`.

    With `after` None no event is looked at. Raises AwsFailure.
    """
    found = {one.physical_id: one for one in known(stack)}
    if after is not None:
        found |= {one.physical_id: one for one in failed_removals(stack_id or stack.name, stack.place, after)}
    return still_there(stack, found.values()) if found else []


def still_there(stack: Stack, found: Iterable[Leftover]) -> list[Leftover]:
    """Those of them that AWS holds, or may hold, and that the stack does not hold again. Raises AwsFailure."""
    asked = Lookup(stack)
    return [one for one in found if not asked.is_gone(one)][:MAX_REMEMBERED]


def problem(left: Sequence[Leftover]) -> Problem:
    """For the record of a run that leaves these."""
    return of_leftovers([FailedResource(_named(one), one.type, one.reason) for one in left])


def failed_removals(stack_name: str, place: Place, after: str) -> list[Leftover]:
    """The resources whose last attempt at removal since the event `after` failed, in nested stacks too. Raises AwsFailure."""
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
    """The user of an access key, as the event's properties have it."""
    try:
        told = json.loads(properties)
    except (ValueError, RecursionError):
        return ""
    return str(told.get("UserName", "")) if isinstance(told, dict) else ""


def _named(one: Leftover) -> str:
    return one.logical_id if one.physical_id in ("", one.logical_id) else f"{one.logical_id} ({one.physical_id})"


class Lookup:
    """Asks AWS whether leftovers are gone, each question once. What cannot be told is taken to be there."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._iam = aws.client("iam", stack.place)
        self._users: set[str] | None = None
        self._held: set[str] | None = None
        self._may_look: bool | None = None

    def is_gone(self, one: Leftover) -> bool:
        """Whether AWS holds it no more, or the stack holds it again. Raises AwsFailure."""
        with aws.translated_errors():
            return self._is_absent(one) or one.physical_id in self._in_stack()

    def _is_absent(self, one: Leftover) -> bool:
        name, place = one.physical_id, self._stack.place
        if one.type == "AWS::IAM::User":
            return name not in self._users_there()
        if one.type == "AWS::IAM::AccessKey":
            return self._is_key_absent(one)
        if one.type == cloudformation.STACK_TYPE:
            return cloudformation.observe(name, place).status in ("", "DELETE_COMPLETE")
        if (ask := self._questions(name).get(one.type)) is None:
            return False
        try:
            # A secret that is to be deleted after its days of grace gives its value to nobody.
            return "DeletedDate" in ask()
        except ClientError as error:
            return self._says_absent(error)

    def _questions(self, name: str) -> dict[str, Callable[[], Any]]:
        """What is asked about a resource of each type, by its name alone."""
        place = self._stack.place
        return {
            "AWS::IAM::Group": lambda: self._iam.get_group(GroupName=name, MaxItems=1),
            "AWS::IAM::Role": lambda: self._iam.get_role(RoleName=name),
            "AWS::IAM::ManagedPolicy": lambda: self._iam.get_policy(PolicyArn=name),
            "AWS::SecretsManager::Secret": lambda: aws.client("secretsmanager", place).describe_secret(SecretId=name),
            "AWS::S3::Bucket": lambda: aws.client("s3", place).get_bucket_location(Bucket=name),
            "AWS::S3::BucketPolicy": lambda: aws.client("s3", place).get_bucket_policy(Bucket=name),
        }

    def _users_there(self) -> set[str]:
        """By the list under the group's path: asked for one user that is not there, IAM answers that we may not ask."""
        if self._users is None:
            slug = _slug(self._stack)
            self._users = iam_users.users_under(names.iam_path(slug), self._stack.place) if slug else set()
        return self._users

    def _is_key_absent(self, one: Leftover) -> bool:
        # An event that does not tell whose it is leaves every user of the group to be asked.
        owners = self._users_there() & {one.owner} if one.owner else self._users_there()
        pages = (page for user in sorted(owners) for page in self._iam.get_paginator("list_access_keys").paginate(UserName=user))
        return one.physical_id not in {key["AccessKeyId"] for page in pages for key in page["AccessKeyMetadata"]}

    def _says_absent(self, error: ClientError) -> bool:
        """Whether the answer means that it is not there. Raises the error where it means something else.

        Our rights name paths, and the name of what is not there has none: IAM then answers AccessDenied, as to whoever may not
        look at all. Where we may look at the group's role, which is there, it is the former.
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
            self._held = {one.physical_id for one in held if not one.status.startswith("DELETE_")}
        return self._held


def _slug(stack: Stack) -> str:
    """The group's, or nothing for the platform."""
    manifest = StoredManifest.objects.group_at(stack, stack.generation)
    return manifest.slug if manifest else ""
