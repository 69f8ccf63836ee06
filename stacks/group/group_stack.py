"""The stack of one research group: its policies, its role, and an IAM user with a key for each key holder."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from aws_cdk import CfnOutput, Environment, Fn, NestedStack, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks import denials, names, policies
from stacks._acknowledged import acknowledge_prefixes, acknowledge_secret
from stacks._tagging import add_tags
from stacks.group._worker_synthesizer import worker_synthesizer
from stacks.manifest import GroupManifest, Member
from stacks.tags import GROUP_TAG

# The control plane assumes the role from a role of its own, and AWS ends such a chained session after an hour.
SESSION_SECONDS = 3600


class GroupStack(Stack):
    """All AWS resources of one group, from its manifest alone."""

    def __init__(self, scope: Construct, manifest: GroupManifest) -> None:
        super().__init__(
            scope,
            manifest.stack_name,
            env=Environment(account=manifest.account, region=manifest.region),
            synthesizer=worker_synthesizer(),
            description=f"Access of the research group {manifest.slug}",
        )
        add_tags(self, manifest.tags | {GROUP_TAG: manifest.slug})
        access = [
            self._access_policy(manifest, index, document)
            for index, document in enumerate(policies.group_policies(manifest), start=1)
        ]
        role = FederatedRole(self, "Federated", manifest=manifest, access=access)
        if parts := _parts(manifest):
            # The first part is in this very stack, as is the IAM group, whose members may all be in others.
            holders = KeyHolders(self, "KeyHolders", manifest=manifest, members=parts.pop(0, []), access=access)
            for part, members in sorted(parts.items()):
                MoreKeyHolders(self, f"KeyHolders{part}", manifest=manifest, members=members, group_name=holders.group_name)
        CfnOutput(self, "RoleArn", value=role.arn, description="Assumed by the control plane for a federated member")
        # Tells which generation AWS holds, whoever deployed it and whatever became of the record of that.
        CfnOutput(self, "Generation", value=str(manifest.generation), description="The manifest's generation")

    def _access_policy(self, manifest: GroupManifest, index: int, document: policies.Document) -> str:
        policy = iam.CfnManagedPolicy(
            self,
            f"Access{index}",
            managed_policy_name=names.policy(manifest.slug, index),
            path=names.iam_path(manifest.slug),
            description=f"What the group {manifest.slug} may do with its analyses",
            policy_document=document,
        )
        acknowledge_prefixes(policy, document)
        return policy.ref


class FederatedRole(Construct):
    """The role that the control plane assumes in a member's name; no long-lived key exists for it."""

    def __init__(self, scope: Construct, construct_id: str, *, manifest: GroupManifest, access: Sequence[str]) -> None:
        super().__init__(scope, construct_id)
        inline = {denials.ENDED_SESSIONS: denials.role_denial(manifest), "undo": (undo := policies.undo_policy(manifest))}
        role = iam.CfnRole(
            self,
            "Role",
            role_name=names.role(manifest.slug),
            path=names.iam_path(manifest.slug),
            description=f"Federated members of the group {manifest.slug}",
            assume_role_policy_document=policies.role_trust(manifest),
            managed_policy_arns=list(access),
            permissions_boundary=names.boundary_arn(manifest.account, manifest.region),
            max_session_duration=SESSION_SECONDS,
            policies=[
                iam.CfnRole.PolicyProperty(policy_name=name, policy_document=document)
                for name, document in inline.items()
                if document
            ]
            or None,
        )
        if undo:
            acknowledge_prefixes(role, undo)
        self.arn = role.attr_arn


class KeyHolders(Construct):
    """The IAM group of the members who hold a key, and each one's user, key and secret."""

    def __init__(
        self, scope: Construct, construct_id: str, *, manifest: GroupManifest, members: Sequence[Member], access: Sequence[str]
    ) -> None:
        super().__init__(scope, construct_id)
        group = iam.CfnGroup(
            self,
            "Group",
            group_name=names.iam_group(manifest.slug),
            path=names.iam_path(manifest.slug),
            managed_policy_arns=list(access),
            policies=[
                iam.CfnGroup.PolicyProperty(policy_name=denials.KEY_SESSIONS, policy_document=denials.key_session_denial()),
                *(_inline(iam.CfnGroup.PolicyProperty, manifest.suspended) or ()),
            ],
        )
        self.group_name = group.ref
        for member in members:
            KeyHolder(self, member.username, manifest=manifest, member=member, group_name=self.group_name)


class MoreKeyHolders(NestedStack):
    """Key holders beyond one stack's capacity, in a nested stack, which CloudFormation changes together with its group's."""

    def __init__(
        self, scope: Construct, construct_id: str, *, manifest: GroupManifest, members: Sequence[Member], group_name: str
    ) -> None:
        super().__init__(scope, construct_id, description=f"Further key holders of the research group {manifest.slug}")
        for member in members:
            KeyHolder(self, member.username, manifest=manifest, member=member, group_name=group_name)


class KeyHolder(Construct):
    """One member's IAM user and access key. CloudFormation itself writes the key into the secret: nothing else sees it."""

    def __init__(self, scope: Construct, construct_id: str, *, manifest: GroupManifest, member: Member, group_name: str) -> None:
        super().__init__(scope, construct_id)
        user = iam.CfnUser(
            self,
            "User",
            user_name=names.user(manifest.slug, member.username),
            path=names.iam_path(manifest.slug),
            groups=[group_name],
            permissions_boundary=names.boundary_arn(manifest.account, manifest.region),
            policies=_inline(iam.CfnUser.PolicyProperty, member.suspended),
        )
        # Each key is a resource of its own, so that the one before can go on beside it for a while.
        key = iam.CfnAccessKey(self, f"Key{member.key_serial}", user_name=user.ref)
        if member.previous_key:
            iam.CfnAccessKey(self, f"Key{member.key_serial - 1}", user_name=user.ref, status=member.previous_key.capitalize())
        secret = secretsmanager.CfnSecret(
            self,
            "Secret",
            name=names.secret(manifest.slug, member.username),
            description=f"Access key of {member.username} in the group {manifest.slug}",
            secret_string=Fn.sub(
                json.dumps({"AccessKeyId": "${Id}", "SecretAccessKey": "${Secret}"}),
                {"Id": key.ref, "Secret": key.attr_secret_access_key},
            ),
        )
        acknowledge_secret(secret)


def _parts(manifest: GroupManifest) -> dict[int, list[Member]]:
    """Return the key holders by their part."""
    parts: dict[int, list[Member]] = {}
    for member in manifest.members:
        if member.access == "keys":
            parts.setdefault(member.part, []).append(member)
    return parts


def _inline(policy: Callable[..., Any], is_suspended: bool) -> list[Any] | None:
    """Return the inline policy that suspends an IAM user or group, or None where it is not suspended."""
    return [policy(policy_name=denials.SUSPENDED, policy_document=denials.full_denial())] if is_suspended else None
