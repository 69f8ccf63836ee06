"""Unique names of users, groups, roles, policies and instance profiles in the account, whatever their path and case.

IAM user guide, "IAM and STS quotas" (name requirements): names "must be unique within the account" and "aren't distinguished by
case". ministack compares whole ARNs of policies, and tells cases apart.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ministack.services import iam
from ministack.services.cloudformation import provisioners


class _Kind(NamedTuple):
    """One kind of named entity: IAM's action that makes it, its CloudFormation type, and IAM's refusal of a second one."""

    records: Callable[[], Mapping[str, dict[str, Any]]]
    action: str
    type: str
    parameter: str
    property: str
    refusal: str


KINDS = (
    _Kind(lambda: iam._users, "CreateUser", "AWS::IAM::User", "UserName", "UserName", "User with name {} already exists."),
    _Kind(lambda: iam._groups, "CreateGroup", "AWS::IAM::Group", "GroupName", "GroupName", "Group with name {} already exists."),
    _Kind(lambda: iam._roles, "CreateRole", "AWS::IAM::Role", "RoleName", "RoleName", "Role with name {} already exists."),
    _Kind(
        lambda: iam._policies,
        "CreatePolicy",
        "AWS::IAM::ManagedPolicy",
        "PolicyName",
        "ManagedPolicyName",
        "A policy called {} already exists. Duplicate names are not allowed.",
    ),
    _Kind(
        lambda: iam._instance_profiles,
        "CreateInstanceProfile",
        "AWS::IAM::InstanceProfile",
        "InstanceProfileName",
        "InstanceProfileName",
        "Instance Profile {} already exists.",
    ),
)


def install() -> None:
    """Have IAM's own calls and CloudFormation's handlers refuse a name that another entity of the kind has already."""
    for kind in KINDS:
        iam._IAM_HANDLERS[kind.action] = _call(kind, iam._IAM_HANDLERS[kind.action])
        handler = provisioners._RESOURCE_HANDLERS[kind.type]
        handler["create"] = _create(kind, handler["create"])


def _call(kind: _Kind, act: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def refuse_or_act(parameters: dict[str, Any]) -> Any:
        name = iam._p(parameters, kind.parameter)
        if _is_taken(kind, name):
            return iam._error(409, "EntityAlreadyExists", kind.refusal.format(name), ns="iam")
        return act(parameters)

    return refuse_or_act


def _create(kind: _Kind, create: Callable[..., Any]) -> Callable[..., Any]:
    def refuse_or_create(logical_id: str, properties: dict[str, Any], stack_name: str, *rest: Any) -> Any:
        name = properties.get(kind.property)
        if name and _is_taken(kind, name):
            raise ValueError(f"{kind.refusal.format(name)} (Service: Iam, Status Code: 409) (HandlerErrorCode: AlreadyExists)")
        return create(logical_id, properties, stack_name, *rest)

    return refuse_or_create


def _is_taken(kind: _Kind, name: str) -> bool:
    return any(record[kind.parameter].casefold() == name.casefold() for record in kind.records().values())
