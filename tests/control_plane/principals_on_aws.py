"""What a group's stack makes in IAM, made by hand: what the review reads there needs no CloudFormation."""

import json
from typing import Any

import boto3
import moto.iam.models
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from control_plane.access.groups.models import Access, Grant, Group
from control_plane.access.groups.services.members import set_manager
from control_plane.accounts.models import User
from control_plane.deployments import cloudformation
from control_plane.deployments.cloudformation import StackResource
from stacks import denials, names, policies
from stacks.manifest import parse
from tests.actors import OPERATOR
from tests.factories import AnalysisFactory, GrantFactory, MembershipFactory, settle


class OnAws:
    """A group's principals in moto, as its newest manifest wants them."""

    def __init__(self, group: Group) -> None:
        self.slug, self.account, self.region = group.slug, group.stack.account, group.stack.region
        self.iam: Any = boto3.client("iam", region_name="us-east-1")
        self.boundary = self.iam.create_policy(
            PolicyName=names.BOUNDARY_NAME, PolicyDocument=json.dumps(policies.boundary(["cohort-*"], self.region))
        )["Policy"]["Arn"]
        self.keys: dict[str, str] = {}

    def deploy(self, group: Group) -> None:
        newest = group.stack.manifests.order_by("-generation").first()
        assert newest is not None
        manifest: Any = parse(newest.text)
        path = names.iam_path(self.slug)
        arns = [
            self.iam.create_policy(PolicyName=names.policy(self.slug, n), Path=path, PolicyDocument=json.dumps(document))["Policy"][
                "Arn"
            ]
            for n, document in enumerate(policies.group_policies(manifest), 1)
        ]
        role = names.role(self.slug)
        self.iam.create_role(
            RoleName=role,
            Path=path,
            AssumeRolePolicyDocument=json.dumps(policies.role_trust(manifest)),
            PermissionsBoundary=self.boundary,
        )
        if undo := policies.undo_policy(manifest):
            self.iam.put_role_policy(RoleName=role, PolicyName="undo", PolicyDocument=json.dumps(undo))
        own = names.iam_group(self.slug)
        self.iam.create_group(GroupName=own, Path=path)
        self.iam.put_group_policy(
            GroupName=own, PolicyName=denials.KEY_SESSIONS, PolicyDocument=json.dumps(denials.key_session_denial())
        )
        for arn in arns:
            self.iam.attach_role_policy(RoleName=role, PolicyArn=arn)
            self.iam.attach_group_policy(GroupName=own, PolicyArn=arn)
        for member in group.memberships.wanted().filter(access=Access.KEYS):
            user = names.user(self.slug, member.username)
            self.iam.create_user(UserName=user, Path=path, PermissionsBoundary=self.boundary)
            self.iam.add_user_to_group(GroupName=own, UserName=user)
            self.keys[user] = self.iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]

    def undeploy_keys(self) -> None:
        """Take the IAM group and its users away, as the stack of a group without key holders has neither."""
        own = names.iam_group(self.slug)
        for user, key in self.keys.items():
            self.iam.delete_access_key(UserName=user, AccessKeyId=key)
            self.iam.remove_user_from_group(GroupName=own, UserName=user)
            self.iam.delete_user(UserName=user)
        for policy in self.iam.list_attached_group_policies(GroupName=own)["AttachedPolicies"]:
            self.iam.detach_group_policy(GroupName=own, PolicyArn=policy["PolicyArn"])
        for name in self.iam.list_group_policies(GroupName=own)["PolicyNames"]:
            self.iam.delete_group_policy(GroupName=own, PolicyName=name)
        self.iam.delete_group(GroupName=own)
        self.keys.clear()


def deployed_lab(group: Group, ada: User, grace: User, monkeypatch: pytest.MonkeyPatch) -> OnAws:
    """Ada holds a key, Grace is federated and manages; one bucket to write in, one to read."""
    for slug, level in (("ephys", Grant.Level.READ_WRITE), ("video", Grant.Level.READ_ONLY)):
        analysis = AnalysisFactory.create(slug=slug, name=slug, bucket=f"cohort-{slug}", deployed=True)
        GrantFactory.create(group=group, analysis=analysis, level=level)
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=f"cohort-{slug}")
    MembershipFactory.create(group=group, user=ada, keys=True)
    MembershipFactory.create(group=group, user=grace)
    set_manager(group=group, user=grace, is_manager=True, actor=OPERATOR)
    settle(group.stack)
    found = OnAws(group)
    found.deploy(group)
    made = lambda *_: [StackResource("Key", "AWS::IAM::AccessKey", key) for key in found.keys.values()]  # noqa: E731
    monkeypatch.setattr(cloudformation, "resources", made)
    # moto keeps no user's boundary.
    bound = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": found.boundary}
    is_ours = lambda user: bound if user.name.startswith("cohort-example-lab-") else None  # noqa: E731
    monkeypatch.setattr(moto.iam.models.User, "permissions_boundary", property(is_ours), raising=False)
    # The account that moto plays is another than the tests' own.
    monkeypatch.setattr(names, "boundary_arn", lambda *_: found.boundary)
    return found


def only_under_paths(monkeypatch: pytest.MonkeyPatch, *, may_look: bool = True) -> None:
    """IAM as it answers whoever may act under paths alone, as the worker may: of what is not there it says AccessDenied.

    Without `may_look`, nothing of IAM's may be read at all.
    """
    call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]

    def answer(self: Any, operation: str, parameters: Any) -> Any:
        is_iam = self.meta.service_model.service_name == "iam"
        if is_iam and not may_look and operation.startswith(("Get", "ListAccess", "ListGroups", "ListAttached")):
            raise denied(operation)
        try:
            return call(self, operation, parameters)
        except ClientError as error:
            if is_iam and error.response["Error"]["Code"] == "NoSuchEntity" and operation != "GetPolicy":
                raise denied(operation) from error
            raise

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)


def denied(operation: str) -> ClientError:
    message = f"User: worker is not authorized to perform: iam:{operation} because no identity-based policy allows it"
    return ClientError({"Error": {"Code": "AccessDenied", "Message": message}}, operation)
