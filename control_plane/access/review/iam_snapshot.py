"""Snapshot of a group in IAM, and of its buckets' policies. For workers and the terminal; it changes nothing on AWS.

The web process has no right to ask IAM: pages show what a scan kept (see `scan`).
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from control_plane.access.groups.models import Group
from control_plane.access.review.effective_access import ALLOW_ALL, Document, EffectiveAccess, evaluate_policies
from control_plane.base import aws
from control_plane.base.aws import Place
from control_plane.deployments import cloudformation
from control_plane.deployments.iam_delay import DENIED, code_of
from control_plane.deployments.iam_lookups import IamLookups
from stacks import names

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

# IAM answers some twenty requests a second, for everybody in the account: the SDK slows down where it says so.
_T = TypeVar("_T")
NO_BUCKET_POLICY = ("NoSuchBucket", "NoSuchBucketPolicy", "404")


@dataclass(frozen=True)
class HeldKey:
    """An access key of a user."""

    access_key_id: str
    is_active: bool
    last_used_at: datetime | None


@dataclass(frozen=True)
class Policy:
    """A policy that a principal has, itself or through a group. `arn` is empty for an inline one."""

    name: str
    arn: str
    document: Document
    is_readable: bool = True


@dataclass
class Principal:
    """A user or role, with everything that decides its effective access."""

    name: str
    path: str
    policies: list[Policy] = field(default_factory=list)
    by_group: list[Policy] = field(default_factory=list)
    boundary_arn: str = ""
    boundary: Document | None = None
    keys: list[HeldKey] = field(default_factory=list)
    other_groups: list[str] = field(default_factory=list)
    trust: Document = field(default_factory=dict)

    def effective_access(self) -> EffectiveAccess:
        """Evaluate what the principal can reach in S3."""
        return evaluate_policies([policy.document for policy in (*self.policies, *self.by_group)], self.boundary)


@dataclass
class IamSnapshot:
    """A group's principals and policies on AWS. `made_keys` are the keys that its stack made."""

    role: Principal | None
    users: dict[str, Principal]
    foreign: dict[str, Principal]
    has_iam_group: bool
    group_policies: list[Policy]
    bucket_policies: dict[str, Document]
    made_keys: set[str]


def read_snapshot(group: Group, buckets: Iterable[str]) -> IamSnapshot:
    """Read a group's snapshot from IAM, CloudFormation and S3. Raises AwsFailure."""
    return _SnapshotReader(group).read(buckets)


class _SnapshotReader:
    """Reader of one group's snapshot: each managed policy is read once."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._path = names.iam_path(group.slug)
        self._iam: IAMClient = aws.iam(group.stack.place)
        self._lookups = IamLookups(self._iam, group.stack)
        self._managed: dict[str, Policy] = {}
        self._groups: dict[str, list[Policy]] = {}

    def read(self, buckets: Iterable[str]) -> IamSnapshot:
        stack = self._group.stack
        with aws.translated_errors():
            own = names.iam_group(self._group.slug)
            users = {user.name: user for user in self._users()}
            members = self._members(own)
            group_policies = self._policies_of_group(own) if members is not None else []
            foreign = [user for user in members or [] if user["UserName"] not in users]
            held = IamSnapshot(
                role=self._role(names.role(self._group.slug)),
                users=users,
                foreign={user["UserName"]: Principal(user["UserName"], user["Path"], by_group=group_policies) for user in foreign},
                has_iam_group=members is not None,
                group_policies=group_policies,
                bucket_policies=_bucket_policies(buckets, stack.place),
                made_keys=set(),
            )
        held.made_keys = {
            resource.physical_id
            for resource in cloudformation.resources(stack.name, stack.place)
            if resource.type == "AWS::IAM::AccessKey"
        }
        return held

    def _users(self) -> Iterable[Principal]:
        for page in self._iam.get_paginator("list_users").paginate(PathPrefix=self._path):
            for user in page["Users"]:
                # A user that is deleted meanwhile is left out.
                if principal := self._lookups.find(partial(self._user, user["UserName"], user["Path"])):
                    yield principal

    def _user(self, name: str, path: str) -> Principal:
        user = self._iam.get_user(UserName=name)["User"]
        groups = self._iam.list_groups_for_user(UserName=name)["Groups"]
        attached = self._iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
        inline = self._iam.list_user_policies(UserName=name)["PolicyNames"]
        own = names.iam_group(self._group.slug)
        principal = Principal(
            name,
            path,
            policies=[
                *(self._policy(policy["PolicyArn"], policy["PolicyName"]) for policy in attached),
                *(
                    _inline(policy_name, partial(self._iam.get_user_policy, UserName=name, PolicyName=policy_name))
                    for policy_name in inline
                ),
            ],
            by_group=[policy for group in groups for policy in self._policies_of_group(group["GroupName"])],
            keys=[self._key(dict(key)) for key in self._iam.list_access_keys(UserName=name)["AccessKeyMetadata"]],
            other_groups=[group["GroupName"] for group in groups if group["GroupName"] != own],
        )
        return self._with_boundary(principal, user.get("PermissionsBoundary"))

    def _role(self, name: str) -> Principal | None:
        def find_role() -> Principal:
            role = self._iam.get_role(RoleName=name)["Role"]
            attached = self._iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
            inline = self._iam.list_role_policies(RoleName=name)["PolicyNames"]
            principal = Principal(
                name,
                role["Path"],
                policies=[
                    *(self._policy(policy["PolicyArn"], policy["PolicyName"]) for policy in attached),
                    *(
                        _inline(policy_name, partial(self._iam.get_role_policy, RoleName=name, PolicyName=policy_name))
                        for policy_name in inline
                    ),
                ],
                trust=_as_document(role.get("AssumeRolePolicyDocument")),
            )
            return self._with_boundary(principal, role.get("PermissionsBoundary"))

        return self._lookups.find(find_role)

    def _with_boundary(self, principal: Principal, boundary: Any) -> Principal:
        if boundary:
            principal.boundary_arn = boundary["PermissionsBoundaryArn"]
            principal.boundary = self._policy(principal.boundary_arn, "boundary").document
        return principal

    def _members(self, name: str) -> list[dict[str, str]] | None:
        """Return the users in an IAM group; None where there is no such group."""
        return self._lookups.find(
            lambda: [
                {"UserName": user["UserName"], "Path": user["Path"]}
                for page in self._iam.get_paginator("get_group").paginate(GroupName=name)
                for user in page["Users"]
            ]
        )

    def _policies_of_group(self, name: str) -> list[Policy]:
        if name not in self._groups:
            try:
                attached = self._iam.list_attached_group_policies(GroupName=name)["AttachedPolicies"]
                inline = self._iam.list_group_policies(GroupName=name)["PolicyNames"]
                self._groups[name] = [
                    *(self._policy(policy["PolicyArn"], policy["PolicyName"]) for policy in attached),
                    *(
                        _inline(policy_name, partial(self._iam.get_group_policy, GroupName=name, PolicyName=policy_name))
                        for policy_name in inline
                    ),
                ]
            except ClientError as error:
                if not _is_refusal(error):
                    raise
                # A foreign group, which the worker may not read.
                self._groups[name] = [Policy(f"group {name}", f"group {name}", ALLOW_ALL, is_readable=False)]
        return self._groups[name]

    def _policy(self, arn: str, name: str) -> Policy:
        if arn not in self._managed:
            try:
                version = self._iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
                answer = self._iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
                self._managed[arn] = Policy(name, arn, _as_document(answer["Document"]))
            except ClientError as error:
                if not _is_refusal(error):
                    raise
                # The worker may read our policies only. What another allows is not known, so it counts as everything.
                self._managed[arn] = Policy(name, arn, ALLOW_ALL, is_readable=False)
        return self._managed[arn]

    def _key(self, key: dict[str, Any]) -> HeldKey:
        used = self._iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
        return HeldKey(key["AccessKeyId"], key["Status"] == "Active", used.get("LastUsedDate"))


def _bucket_policies(buckets: Iterable[str], place: Place) -> dict[str, Document]:
    s3 = aws.client("s3", place, config=aws.ADAPTIVE_RETRIES)
    documents = {}
    for bucket in buckets:
        if answer := _unless_gone(partial(s3.get_bucket_policy, Bucket=bucket)):
            documents[bucket] = _as_document(answer["Policy"])
    return documents


def _inline(name: str, request: Callable[[], Any]) -> Policy:
    return Policy(name, "", _as_document(request()["PolicyDocument"]))


def _as_document(value: Any) -> Document:
    """Return the policy document as a dict: the SDK has parsed IAM's answers, and S3's are text."""
    return dict(json.loads(value) if isinstance(value, str) else value or {})


def _is_refusal(error: ClientError) -> bool:
    return code_of(error) in DENIED


def _unless_gone(request: Callable[[], _T]) -> _T | None:
    """Return what S3 answers, or None where there is no such bucket or it has no policy."""
    try:
        return request()
    except ClientError as error:
        if code_of(error) in NO_BUCKET_POLICY:
            return None
        raise
