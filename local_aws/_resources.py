"""IAM's CloudFormation resource types that ministack lacks, or has without a property that Cohort relies on.

Each handler follows the type's page of the CloudFormation template reference, "Update requires".
"""

import re
from collections.abc import Callable, Container
from typing import Any

from ministack.services import iam, secretsmanager
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]


def register() -> None:
    """Add the types to ministack's table."""
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::IAM::Group"] = {"create": create_group, "update": update_group, "delete": delete_group}
    handlers["AWS::IAM::AccessKey"] = {"create": create_key, "update": update_key, "delete": delete_key}
    handlers["AWS::IAM::UserToGroupAddition"] = {
        "create": create_addition,
        "update": update_addition,
        "delete": delete_addition,
    }
    _as_aws_has_roles(handlers["AWS::IAM::Role"])
    _fail_where_gone("AWS::IAM::Group", iam._groups)
    _fail_where_gone("AWS::IAM::ManagedPolicy", iam._policies)
    _fail_where_gone("AWS::IAM::Role", iam._roles)
    _fail_where_gone("AWS::IAM::User", iam._users)
    _fail_where_gone("AWS::SecretsManager::Secret", secretsmanager._secrets)


def create_group(logical_id: str, properties: Properties, stack_name: str) -> Created:
    """Create an IAM group with its policies. Ref is its name."""
    name = properties.get("GroupName") or provisioners._physical_name(stack_name, logical_id, max_len=128)
    _call(iam._create_group, GroupName=name, Path=properties.get("Path", "/"))
    _apply_policies(name, {}, properties)
    return name, _group_attributes(name)


def update_group(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Created:
    """Update policies and path in place; another name is another group."""
    if new.get("GroupName", physical_id) != physical_id:
        created = create_group(physical_id, new, stack_name)
        provisioners._delete_predecessor(delete_group, physical_id, old)
        return created
    group = iam._groups[physical_id]
    if group["Path"] != (path := new.get("Path", "/")):
        group["Path"] = path
        group["Arn"] = f"{group['Arn'].split(':group/')[0]}:group{path}{physical_id}"
    _apply_policies(physical_id, old, new)
    return physical_id, _group_attributes(physical_id)


def delete_group(physical_id: str, properties: Properties) -> None:
    """Delete the group. Refused while users are in it, as IAM does; nothing to do where it is gone already."""
    group = iam._groups.get(physical_id)
    if group is None:
        return
    if members := [name for name in group["Users"] if name in iam._users]:
        raise ValueError(f"Cannot delete entity, must remove users from group first: {', '.join(members)} (DeleteConflict)")
    for arn in list(group.get("AttachedPolicies", [])):
        iam.detach_managed_policy(group, arn)
    _call(iam._delete_group, GroupName=physical_id)


def create_key(logical_id: str, properties: Properties, stack_name: str) -> Created:
    """Create an access key. Ref is its id; GetAtt returns the secret while the stack is deployed, and never again."""
    user = properties["UserName"]
    held = [key for key in iam._access_keys.values() if key["UserName"] == user]
    # IAM user guide, "IAM and STS quotas": two access keys for a user.
    if len(held) >= 2:
        raise ValueError(f"Cannot exceed quota for AccessKeysPerUser: 2 (user {user})")
    before = set(iam._access_keys)
    _call(iam._create_access_key, UserName=user)
    (key_id,) = set(iam._access_keys) - before
    iam._access_keys[key_id]["Status"] = properties.get("Status", "Active")
    return key_id, {"SecretAccessKey": iam._access_keys[key_id]["SecretAccessKey"]}


def update_key(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Created:
    """Replace the key for another serial or user, removing the old one when the stack is done; update the status in place."""
    if any(old.get(name) != new.get(name) for name in ("Serial", "UserName")):
        created = create_key(physical_id, new, stack_name)
        provisioners._delete_predecessor(delete_key, physical_id, old)
        return created
    key = iam._access_keys.get(physical_id)
    if key is None:
        raise _not_found("AWS::IAM::AccessKey", physical_id)
    key["Status"] = new.get("Status", "Active")
    return physical_id, {"SecretAccessKey": key["SecretAccessKey"]}


def delete_key(physical_id: str, properties: Properties) -> None:
    """Remove the key, if it still exists."""
    iam._access_keys.pop(physical_id, None)


def create_addition(logical_id: str, properties: Properties, stack_name: str) -> Created:
    """Add users to a group."""
    for user in properties.get("Users", []):
        _call(iam._add_user_to_group, GroupName=properties["GroupName"], UserName=user)
    return f"{stack_name}-{logical_id}", {}


def update_addition(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Created:
    """Add the new users, and remove those no longer named."""
    delete_addition(physical_id, {**old, "Users": sorted(set(old.get("Users", [])) - set(new.get("Users", [])))})
    for user in new.get("Users", []):
        _call(iam._add_user_to_group, GroupName=new["GroupName"], UserName=user)
    return physical_id, {}


def delete_addition(physical_id: str, properties: Properties) -> None:
    """Remove the users, where group and user still exist."""
    group = iam._groups.get(properties.get("GroupName", ""))
    if group is not None:
        group["Users"] = [user for user in group["Users"] if user not in properties.get("Users", [])]


def _fail_where_gone(kind: str, records: Container[str]) -> None:
    """Have an update fail where the resource was deleted outside CloudFormation; ministack creates it anew."""
    handler = provisioners._RESOURCE_HANDLERS[kind]
    update = handler["update"]

    def update_existing(physical_id: str, *arguments: Any) -> Created:
        if physical_id not in records:
            raise _not_found(kind, physical_id)
        updated: Created = update(physical_id, *arguments)
        return updated

    handler["update"] = update_existing


def _not_found(kind: str, physical_id: str) -> ValueError:
    return ValueError(f"Resource of type '{kind}' with identifier '{physical_id}' was not found. (HandlerErrorCode: NotFound)")


def _as_aws_has_roles(handler: dict[str, Any]) -> None:
    """Apply PermissionsBoundary, which ministack's AWS::IAM::Role ignores, so that the boundary would bind nobody."""
    create, update = handler["create"], handler["update"]

    def create_role(logical_id: str, properties: Properties, stack_name: str) -> Created:
        name, attributes = create(logical_id, properties, stack_name)
        try:
            _apply_boundary(name, properties)
        except ValueError:
            handler["delete"](name, properties)
            raise
        return name, attributes

    def update_role(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str | None = None) -> Created:
        name, attributes = update(physical_id, old, new, stack_name, logical_id)
        _apply_boundary(name, new)
        return name, attributes

    handler |= {"create": create_role, "update": update_role}


def _apply_boundary(role: str, properties: Properties) -> None:
    if boundary := properties.get("PermissionsBoundary"):
        _call(iam._put_role_permissions_boundary, RoleName=role, PermissionsBoundary=boundary)
    else:
        iam._roles[role]["PermissionsBoundary"] = None


def _apply_policies(name: str, old: Properties, new: Properties) -> None:
    group = iam._groups[name]
    before, after = set(old.get("ManagedPolicyArns") or []), set(new.get("ManagedPolicyArns") or [])
    for arn in sorted(before - after):
        iam.detach_managed_policy(group, arn)
    for arn in sorted(after - before):
        iam.attach_managed_policy(group, arn)
    inline_before = {policy["PolicyName"] for policy in old.get("Policies") or []}
    inline_after = {policy["PolicyName"]: policy["PolicyDocument"] for policy in new.get("Policies") or []}
    for policy in sorted(inline_before - inline_after.keys()):
        _call(iam._delete_group_policy, GroupName=name, PolicyName=policy)
    for policy, document in inline_after.items():
        text = document if isinstance(document, str) else provisioners.json.dumps(document)
        _call(iam._put_group_policy, GroupName=name, PolicyName=policy, PolicyDocument=text)


def _group_attributes(name: str) -> dict[str, Any]:
    return {"Arn": iam._groups[name]["Arn"]}


def _call(action: Callable[[dict[str, Any]], tuple[int, Any, Any]], **parameters: str) -> None:
    """Call one of ministack's IAM actions. Raises ValueError with its answer, which CloudFormation shows as the reason."""
    status, _, body = action({name: [value] for name, value in parameters.items()})
    if status >= 400:
        text = body.decode() if isinstance(body, bytes) else str(body)
        code, message = (re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("Code", "Message"))
        # As CloudFormation tells it: AWS's words, not its XML.
        raise ValueError(f"{message[1]} ({code[1]})" if code and message else text)
