"""Actions that CloudFormation calls for each type and operation: from the registry's own schemas, as cfn-lint ships them.

`handlers.<create|read|update|delete>.permissions` of a schema are the permissions that the type's handler needs ("Resource type
schema", CloudFormation CLI user guide). They cover all that any resource of the type can lead to; `unneeded` names the properties
that each depends on.
"""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from local_aws.rights import unneeded
from local_aws.rights.changes import Change, Operation

# Types without permissions in their schemas, from the IAM API reference, "Actions": each of them makes these calls alone.
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_Operations.html
WRITTEN: dict[str, dict[Operation, tuple[str, ...]]] = {
    "AWS::IAM::AccessKey": {
        "create": ("iam:CreateAccessKey", "iam:UpdateAccessKey"),
        "read": ("iam:ListAccessKeys",),
        "update": ("iam:UpdateAccessKey",),
        "delete": ("iam:DeleteAccessKey",),
    },
    "AWS::IAM::UserToGroupAddition": {
        "create": ("iam:AddUserToGroup",),
        "read": ("iam:GetGroup",),
        "update": ("iam:AddUserToGroup", "iam:RemoveUserFromGroup"),
        "delete": ("iam:RemoveUserFromGroup",),
    },
    # They are records of CloudFormation's own: nothing is called.
    "AWS::CloudFormation::WaitCondition": {},
    "AWS::CloudFormation::WaitConditionHandle": {},
    "AWS::CDK::Metadata": {},
}
# What the schemas leave out. The template of a nested stack is read by whoever makes the stack (CloudFormation user guide,
# "Embed stacks within other stacks"); its tags need a right of their own (Service Authorization Reference, CloudFormation).
BESIDE: dict[str, dict[Operation, tuple[str, ...]]] = {
    "AWS::CloudFormation::Stack": {
        "create": ("s3:GetObject", "cloudformation:TagResource"),
        "update": ("s3:GetObject", "cloudformation:TagResource"),
    },
    # Machines and their volumes get tags in the name of whoever makes the group, where the launch template has any (Amazon EC2
    # Auto Scaling user guide, "Control Amazon EC2 launch template usage in Auto Scaling groups").
    "AWS::AutoScaling::AutoScalingGroup": {"create": ("ec2:CreateTags",), "update": ("ec2:CreateTags",)},
}
# Some schemas name actions by patterns. These are the calls behind them, where our properties lead to any.
BY_PATTERN: dict[tuple[str, str], tuple[str, ...]] = {
    ("AWS::AutoScaling::AutoScalingGroup", "autoscaling:Describe*"): (
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeScalingActivities",
    ),
    ("AWS::AutoScaling::AutoScalingGroup", "ec2:Describe*"): (
        "ec2:DescribeInstances",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:DescribeSubnets",
    ),
    ("AWS::AutoScaling::AutoScalingGroup", "elasticloadbalancing:Describe*"): (
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
    ),
}


class UnknownType(LookupError):
    """A type whose needs no source states. The message names it."""


def needed_actions(change: Change) -> list[str]:
    """Return the actions that this change of this resource leads to, in the schema's order. Raises UnknownType."""
    return [action for action in listed_actions(change.kind, change.operation) if unneeded.is_needed(change, action)]


@cache
def listed_actions(kind: str, operation: Operation) -> tuple[str, ...]:
    """Return every action that the operation can need for a resource of this type. Raises UnknownType."""
    if kind in WRITTEN:
        return WRITTEN[kind].get(operation, ())
    handlers = schema(kind).get("handlers")
    if not handlers:
        raise UnknownType(f"The embedded AWS does not know which rights {kind} needs: its schema names none.")
    permissions = [*handlers.get(operation, {}).get("permissions", ()), *BESIDE.get(kind, {}).get(operation, ())]
    named = [name for action in permissions for name in BY_PATTERN.get((kind, action), (action,))]
    return tuple(dict.fromkeys(named))


def replacing_properties(kind: str) -> frozenset[str]:
    """Return the properties whose change replaces the resource."""
    if kind in WRITTEN:
        return frozenset({"Serial", "UserName"} if kind == "AWS::IAM::AccessKey" else ())
    return _create_only(kind)


@cache
def _create_only(kind: str) -> frozenset[str]:
    return frozenset(path.removeprefix("/properties/") for path in schema(kind).get("createOnlyProperties", ()))


@cache
def schema(kind: str) -> dict[str, Any]:
    """Return the registry's schema of a type. Raises UnknownType."""
    digest = _digests().get(kind)
    if digest is None:
        raise UnknownType(f"The embedded AWS does not know which rights {kind} needs: CloudFormation's registry has no such type.")
    document: dict[str, Any] = json.loads((_folder() / "resources" / f"{digest}.json").read_text())
    return document


@cache
def _digests() -> dict[str, str]:
    digests: dict[str, str] = json.loads((_folder() / "providers" / "us-east-1.json").read_text())
    return digests


@cache
def _folder() -> Path:
    """Return the folder of the schemas. cfn-lint itself is never imported: that takes seconds."""
    package = find_spec("cfnlint")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("The embedded AWS needs cfn-lint's schemas. Install requirements-dev.txt, as `make up` does.")
    return Path(package.submodule_search_locations[0], "data", "schemas")
