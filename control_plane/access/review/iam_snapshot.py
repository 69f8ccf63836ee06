"""Reading what IAM holds of a group, and what its buckets' own policies say. For workers and the terminal; it changes nothing.

The web process has no right to ask IAM: pages show what was found (see `looking`).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from control_plane.access.groups.models import Group
from control_plane.access.review.effective_access import ANYTHING, Document, Reach, work_out
from control_plane.base import aws
from control_plane.base.aws import Place
from control_plane.deployments import cloudformation
from control_plane.deployments.iam_delay import DENIED, code_of
from control_plane.deployments.iam_lookups import Lookups
from stacks.manifest import names

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

# IAM answers some twenty requests a second, for everybody in the account: the SDK slows down where it says so.
_T = TypeVar("_T")
NO_BUCKET_POLICY = ("NoSuchBucket", "NoSuchBucketPolicy", "404")


@dataclass(frozen=True)
class HeldKey:
    """One access key of a user."""

    access_key_id: str
    is_active: bool
    last_used_at: datetime | None


@dataclass(frozen=True)
class Policy:
    """One policy that a principal carries, itself or by a group. `arn` is empty for an inline one."""

    name: str
    arn: str
    document: Document
    is_readable: bool = True


@dataclass
class Principal:
    """A user or role, with all that decides what it can reach."""

    name: str
    path: str
    policies: list[Policy] = field(default_factory=list)
    by_group: list[Policy] = field(default_factory=list)
    boundary_arn: str = ""
    boundary: Document | None = None
    keys: list[HeldKey] = field(default_factory=list)
    other_groups: list[str] = field(default_factory=list)
    trust: Document = field(default_factory=dict)

    def reach(self) -> Reach:
        """What it can reach."""
        return work_out([one.document for one in (*self.policies, *self.by_group)], self.boundary)


@dataclass
class Holding:
    """What IAM holds of one group. `made_keys` are those that its stack made."""

    role: Principal | None
    users: dict[str, Principal]
    foreign: dict[str, Principal]
    has_iam_group: bool
    group_policies: list[Policy]
    bucket_policies: dict[str, Document]
    made_keys: set[str]


def read(group: Group, buckets: Iterable[str]) -> Holding:
    """Ask IAM, CloudFormation and S3. Raises AwsFailure."""
    return _Reader(group).read(buckets)


class _Reader:
    """One reading of one group: each managed policy is read once."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._path = names.iam_path(group.slug)
        self._iam: IAMClient = aws.iam(group.stack.place)
        self._lookups = Lookups(self._iam, group.stack)
        self._managed: dict[str, Policy] = {}
        self._groups: dict[str, list[Policy]] = {}

    def read(self, buckets: Iterable[str]) -> Holding:
        stack = self._group.stack
        with aws.translated_errors():
            own = names.iam_group(self._group.slug)
            users = {one.name: one for one in self._users()}
            members = self._members(own)
            group_policies = self._policies_of_group(own) if members is not None else []
            foreign = [one for one in members or [] if one["UserName"] not in users]
            held = Holding(
                role=self._role(names.role(self._group.slug)),
                users=users,
                foreign={one["UserName"]: Principal(one["UserName"], one["Path"], by_group=group_policies) for one in foreign},
                has_iam_group=members is not None,
                group_policies=group_policies,
                bucket_policies=_bucket_policies(buckets, stack.place),
                made_keys=set(),
            )
        held.made_keys = {
            one.physical_id for one in cloudformation.resources(stack.name, stack.place) if one.type == "AWS::IAM::AccessKey"
        }
        return held

    def _users(self) -> Iterable[Principal]:
        for page in self._iam.get_paginator("list_users").paginate(PathPrefix=self._path):
            for user in page["Users"]:
                # One that goes meanwhile is gone.
                if found := self._lookups.find(partial(self._user, user["UserName"], user["Path"])):
                    yield found

    def _user(self, name: str, path: str) -> Principal:
        user = self._iam.get_user(UserName=name)["User"]
        groups = self._iam.list_groups_for_user(UserName=name)["Groups"]
        attached = self._iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
        inline = self._iam.list_user_policies(UserName=name)["PolicyNames"]
        own = names.iam_group(self._group.slug)
        found = Principal(
            name,
            path,
            policies=[
                *(self._policy(one["PolicyArn"], one["PolicyName"]) for one in attached),
                *(_inline(one, partial(self._iam.get_user_policy, UserName=name, PolicyName=one)) for one in inline),
            ],
            by_group=[policy for one in groups for policy in self._policies_of_group(one["GroupName"])],
            keys=[self._key(dict(one)) for one in self._iam.list_access_keys(UserName=name)["AccessKeyMetadata"]],
            other_groups=[one["GroupName"] for one in groups if one["GroupName"] != own],
        )
        return self._bounded(found, user.get("PermissionsBoundary"))

    def _role(self, name: str) -> Principal | None:
        def look() -> Principal:
            role = self._iam.get_role(RoleName=name)["Role"]
            attached = self._iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            inline = self._iam.list_role_policies(RoleName=name)["PolicyNames"]
            found = Principal(
                name,
                role["Path"],
                policies=[
                    *(self._policy(one["PolicyArn"], one["PolicyName"]) for one in attached),
                    *(_inline(one, partial(self._iam.get_role_policy, RoleName=name, PolicyName=one)) for one in inline),
                ],
                trust=_as_document(role.get("AssumeRolePolicyDocument")),
            )
            return self._bounded(found, role.get("PermissionsBoundary"))

        return self._lookups.find(look)

    def _bounded(self, principal: Principal, boundary: Any) -> Principal:
        if boundary:
            principal.boundary_arn = boundary["PermissionsBoundaryArn"]
            principal.boundary = self._policy(principal.boundary_arn, "boundary").document
        return principal

    def _members(self, name: str) -> list[dict[str, str]] | None:
        """The users in an IAM group; None where there is no such group."""
        return self._lookups.find(
            lambda: [
                {"UserName": one["UserName"], "Path": one["Path"]}
                for page in self._iam.get_paginator("get_group").paginate(GroupName=name)
                for one in page["Users"]
            ]
        )

    def _policies_of_group(self, name: str) -> list[Policy]:
        if name not in self._groups:
            try:
                attached = self._iam.list_attached_group_policies(GroupName=name)["AttachedPolicies"]
                inline = self._iam.list_group_policies(GroupName=name)["PolicyNames"]
                self._groups[name] = [
                    *(self._policy(one["PolicyArn"], one["PolicyName"]) for one in attached),
                    *(_inline(one, partial(self._iam.get_group_policy, GroupName=name, PolicyName=one)) for one in inline),
                ]
            except ClientError as error:
                if not _is_refusal(error):
                    raise
                # A group of somebody else's, which the worker may not read.
                self._groups[name] = [Policy(f"group {name}", f"group {name}", ANYTHING, is_readable=False)]
        return self._groups[name]

    def _policy(self, arn: str, name: str) -> Policy:
        if arn not in self._managed:
            try:
                version = self._iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
                found = self._iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
                self._managed[arn] = Policy(name, arn, _as_document(found["Document"]))
            except ClientError as error:
                if not _is_refusal(error):
                    raise
                # The worker may read ours alone. What another one allows is not known, so it counts as all there is.
                self._managed[arn] = Policy(name, arn, ANYTHING, is_readable=False)
        return self._managed[arn]

    def _key(self, key: dict[str, Any]) -> HeldKey:
        used = self._iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
        return HeldKey(key["AccessKeyId"], key["Status"] == "Active", used.get("LastUsedDate"))


def _bucket_policies(buckets: Iterable[str], place: Place) -> dict[str, Document]:
    s3 = aws.client("s3", place, config=aws.ADAPTIVE_RETRIES)
    found = {}
    for bucket in buckets:
        if answer := _unless_gone(partial(s3.get_bucket_policy, Bucket=bucket)):
            found[bucket] = _as_document(answer["Policy"])
    return found


def _inline(name: str, ask: Callable[[], Any]) -> Policy:
    return Policy(name, "", _as_document(ask()["PolicyDocument"]))


def _as_document(value: Any) -> Document:
    """IAM's answers are documents that the SDK has read already; S3's are text."""
    return dict(json.loads(value) if isinstance(value, str) else value or {})


def _is_refusal(error: ClientError) -> bool:
    return code_of(error) in DENIED


def _unless_gone(ask: Callable[[], _T]) -> _T | None:
    """What S3 answers, or None where there is no such bucket, or none of its policies."""
    try:
        return ask()
    except ClientError as error:
        if code_of(error) in NO_BUCKET_POLICY:
            return None
        raise
