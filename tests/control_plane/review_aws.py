"""What a group's stack makes in IAM, made by hand: what the review reads there needs no CloudFormation."""

import json
from typing import Any

import boto3

from control_plane.groups.models import Access, Group
from stacks import policies
from stacks.manifest import names, parse


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
        if undo := policies.undo(manifest):
            self.iam.put_role_policy(RoleName=role, PolicyName="undo", PolicyDocument=json.dumps(undo))
        own = names.iam_group(self.slug)
        self.iam.create_group(GroupName=own, Path=path)
        for arn in arns:
            self.iam.attach_role_policy(RoleName=role, PolicyArn=arn)
            self.iam.attach_group_policy(GroupName=own, PolicyArn=arn)
        for one in group.memberships.wanted().filter(access=Access.KEYS):
            user = names.user(self.slug, one.username)
            self.iam.create_user(UserName=user, Path=path, PermissionsBoundary=self.boundary)
            self.iam.add_user_to_group(GroupName=own, UserName=user)
            self.keys[user] = self.iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
