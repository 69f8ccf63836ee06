"""Drift of IAM resources, which ministack does not report: each reader returns a resource in its template's terms.

An access key has no reader: AWS does not report its drift either.
"""

import json
from collections.abc import Mapping
from typing import Any

from ministack.services import iam
from ministack.services.cloudformation import drift

Properties = dict[str, Any]

IDENTITY = {"Path", "ManagedPolicyArns", "Policies"}


def register() -> None:
    """Add the readers to ministack's table, each with the properties that it can read."""
    readers = drift._DRIFT_READERS
    _, role_properties = readers["AWS::IAM::Role"]
    readers["AWS::IAM::Role"] = (read_role, role_properties | IDENTITY | {"PermissionsBoundary"})
    readers["AWS::IAM::User"] = (read_user, frozenset(IDENTITY | {"UserName", "Groups", "PermissionsBoundary", "Tags"}))
    readers["AWS::IAM::Group"] = (read_group, frozenset(IDENTITY | {"GroupName"}))
    readers["AWS::IAM::ManagedPolicy"] = (
        read_managed_policy,
        frozenset({"ManagedPolicyName", "Path", "Description", "PolicyDocument"}),
    )


def read_role(physical_id: str, properties: Properties) -> Properties | None:
    """Read a role as ministack does, with its policies and boundary."""
    read = drift._read_iam_role(physical_id, properties)
    if read is None:
        return None
    role = iam._roles[physical_id]
    return {**read, **_identity(role, role.get("InlinePolicies") or {}), **_boundary(role)}


def read_user(physical_id: str, properties: Properties) -> Properties | None:
    """Read a user, with the groups that it is in."""
    user = iam._users.get(physical_id)
    if user is None:
        return None
    groups = [name for name, group in iam._groups.items() if physical_id in group.get("Users", [])]
    return {
        "UserName": physical_id,
        "Groups": groups,
        "Tags": drift._tag_map(user.get("Tags")),
        **_identity(user, iam._user_inline_policies.get(physical_id) or {}),
        **_boundary(user),
    }


def read_group(physical_id: str, properties: Properties) -> Properties | None:
    """Read a group. Its members are properties of the users, not of the group."""
    group = iam._groups.get(physical_id)
    if group is None:
        return None
    return {"GroupName": physical_id, **_identity(group, iam._group_inline_policies.get(physical_id) or {})}


def read_managed_policy(physical_id: str, properties: Properties) -> Properties | None:
    """Read a managed policy, with the document of its default version."""
    policy = iam._policies.get(physical_id)
    if policy is None:
        return None
    return {
        "ManagedPolicyName": policy["PolicyName"],
        "Path": policy["Path"],
        "Description": policy.get("Description", ""),
        "PolicyDocument": _parsed(policy["Versions"][policy["DefaultVersionId"]]["Document"]),
    }


def _identity(record: Mapping[str, Any], inline: Mapping[str, Any]) -> Properties:
    return {
        "Path": record.get("Path", "/"),
        "ManagedPolicyArns": list(record.get("AttachedPolicies") or []),
        "Policies": [{"PolicyName": name, "PolicyDocument": _parsed(document)} for name, document in inline.items()],
    }


def _boundary(record: Mapping[str, Any]) -> Properties:
    boundary = record.get("PermissionsBoundary")
    return {"PermissionsBoundary": boundary} if boundary else {}


def _parsed(document: Any) -> Any:
    return json.loads(document) if isinstance(document, str) else document
