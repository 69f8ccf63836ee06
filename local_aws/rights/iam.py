"""IAM's permission checks: the principal or policy by its ARN, its boundary, the attached policy, and who gets a role."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from local_aws.rights.changes import Change
from local_aws.rights.permission_check import ANY, PermissionCheck, with_tags, without_tags

Checks = Callable[[Change, str, str], Iterator[PermissionCheck]]

# What each type's properties call the thing, and how its ARN begins.
KINDS = {
    "AWS::IAM::AccessKey": ("user", "UserName"),
    "AWS::IAM::Group": ("group", "GroupName"),
    "AWS::IAM::InstanceProfile": ("instance-profile", "InstanceProfileName"),
    "AWS::IAM::ManagedPolicy": ("policy", "ManagedPolicyName"),
    "AWS::IAM::Role": ("role", "RoleName"),
    "AWS::IAM::User": ("user", "UserName"),
    "AWS::IAM::UserToGroupAddition": ("group", "GroupName"),
}
# Of these the principal is there before: they add something to it.
TO_ANOTHER = frozenset({"AWS::IAM::AccessKey", "AWS::IAM::UserToGroupAddition"})
# Who gets the role that a type passes on (each service's page of the Service Authorization Reference, iam:PassedToService).
PASSED_TO = {
    "AWS::AutoScaling::AutoScalingGroup": "ec2",
    "AWS::Backup::BackupSelection": "backup",
    "AWS::CloudFormation::Stack": "cloudformation",
    "AWS::IAM::InstanceProfile": "ec2",
    "AWS::S3::Bucket": "s3",
    "AWS::SNS::Subscription": "sns",
    "AWS::SNS::Topic": "sns",
}
# Which roles of their own services bring along (IAM user guide, "AWS services that work with IAM").
LINKED = {
    "AWS::AutoScaling::AutoScalingGroup": ("autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling"),
    "AWS::Backup::BackupSelection": ("backup.amazonaws.com", "AWSServiceRoleForBackup"),
}


def checks_of(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Yield the checks of one of IAM's actions."""
    verb = action.removeprefix("iam:")
    if change.kind not in KINDS:
        yield from _other_types(change, action, verb)
        return
    special = SPECIAL.get(verb) or next((handler for ends, handler in BY_NAME if ends.fullmatch(verb)), _plain)
    yield from special(change, action, verb)


def _other_types(change: Change, action: str, verb: str) -> Iterator[PermissionCheck]:
    """Yield the checks of a type that is no principal and no managed policy.

    One that is a policy of principals names those; a role is passed.
    """
    if verb == "PassRole":
        if change.kind in PASSED_TO:
            yield from _passed(change, action, verb)
    elif verb == "CreateServiceLinkedRole":
        if change.kind in LINKED:
            yield from _linked(change, action, verb)
    elif change.kind == "AWS::IAM::Policy":
        kind = next(principal for principal in ("Role", "User", "Group") if principal in verb)
        for name in change.properties.get(f"{kind}s") or []:
            yield PermissionCheck(action, _named(change, kind.lower(), str(name)))
    else:
        yield from _plain(change, action, verb) if verb == "GetRole" else [PermissionCheck(action, ANY)]


def _plain(change: Change, action: str, verb: str) -> Iterator[PermissionCheck]:
    """Check the principal itself, with the tags and the boundary that it is made with."""
    if verb == "GetRole" and change.kind != "AWS::IAM::Role":
        yield from (PermissionCheck(action, role) for role in _roles(change))
    elif verb.startswith("Create"):
        yield PermissionCheck(action, own_arn(change), with_tags(change) | _boundary(change.properties))
    else:
        yield PermissionCheck(action, own_arn(change))


def _status(change: Change, action: str, verb: str) -> Iterator[PermissionCheck]:
    """Check the status of a new key only where it is inactive: a new key is active."""
    if change.operation != "create" or change.properties.get("Status") == "Inactive":
        yield PermissionCheck(action, own_arn(change))


def _linked(change: Change, action: str, verb: str) -> Iterator[PermissionCheck]:
    service, role = LINKED[change.kind]
    arn = change.scope.of_account("iam", f"role/aws-service-role/{service}/{role}")
    yield PermissionCheck(action, arn, {"iam:AWSServiceName": service})


def _tagged(change: Change, action: str, verb: str) -> Iterator[PermissionCheck]:
    if change.new_tags:
        yield PermissionCheck(action, own_arn(change), with_tags(change, change.new_tags))


def _untagged(change: Change, action: str, verb: str) -> Iterator[PermissionCheck]:
    if change.lost_tags:
        yield PermissionCheck(action, own_arn(change), without_tags(change.lost_tags))


def own_arn(change: Change) -> str:
    """Return the ARN of the principal or policy itself: the existing one, else the future one."""
    kind, name_of = KINDS[change.kind]
    if change.kind == "AWS::IAM::ManagedPolicy" and change.physical_id.startswith("arn:"):
        return change.physical_id
    name = str(change.properties.get(name_of) or change.physical_id or f"{change.stack}-{change.logical_id}")
    # What is yet to be made lies where the template says, whoever has its name already.
    is_new = change.operation == "create" and change.kind not in TO_ANOTHER
    held = "" if is_new else change.scope.facts.arn(kind, name)
    return held or _arn(change, kind, name, change.properties.get("Path"))


def _arn(change: Change, kind: str, name: str, path: Any = None) -> str:
    return change.scope.of_account("iam", f"{kind}{path or '/'}{name}")


def _named(change: Change, kind: str, name: str) -> str:
    """Return the ARN of another principal by its name. An unknown one is taken to lie beside this one."""
    return change.scope.facts.arn(kind, name) or _arn(change, kind, name, change.properties.get("Path"))


def _boundary(properties: Any) -> dict[str, Any]:
    boundary = properties.get("PermissionsBoundary")
    return {"iam:PermissionsBoundary": boundary} if boundary else {}


def _held_boundary(change: Change) -> dict[str, Any]:
    """Return the boundary that binds the principal while it is changed: of an update, the one from before."""
    return _boundary(change.before if change.operation == "update" else change.properties)


def _passed(change: Change, action: str, verb: str) -> Iterator[PermissionCheck]:
    service = f"{PASSED_TO[change.kind]}.amazonaws.com"
    if change.scope.partition == "aws-cn" and service.startswith("ec2."):
        service += ".cn"
    for role in _roles(change):
        yield PermissionCheck(action, role, {"iam:PassedToService": service})


def _roles(change: Change) -> list[str]:
    """Return the roles that the type's properties name, as ARNs."""
    properties = change.properties
    match change.kind:
        case "AWS::CloudFormation::Stack":
            return [change.scope.role] if change.scope.role else []
        case "AWS::IAM::InstanceProfile":
            return [_named(change, "role", name) for name in change.added("Roles")]
        case "AWS::Backup::BackupSelection":
            named = [properties.get("BackupSelection", {}).get("IamRoleArn")]
        case "AWS::S3::Bucket":
            named = [(properties.get("ReplicationConfiguration") or {}).get("Role")]
        case "AWS::SNS::Subscription":
            named = [properties.get("SubscriptionRoleArn")]
        case "AWS::AutoScaling::AutoScalingGroup":
            data = change.scope.facts.launch_template(properties.get("LaunchTemplate") or {})
            named = [change.scope.facts.role_of_profile((data.get("IamInstanceProfile") or {}).get("Arn", ""))]
        case _:
            named = []
    return [str(role) for role in named if role]


def _grouped(change: Change, action: str, verb: str) -> Iterator[PermissionCheck]:
    yield from (PermissionCheck(action, group) for group in _groups(change, verb))


def _groups(change: Change, verb: str) -> list[str]:
    if change.kind == "AWS::IAM::UserToGroupAddition":
        users = change.added("Users") if verb.startswith("Add") else change.removed("Users")
        return [own_arn(change)] if users else []
    names = change.added("Groups") if verb.startswith("Add") else change.removed("Groups")
    return [_named(change, "group", str(name)) for name in names]


def _attached(change: Change, action: str, verb: str) -> Iterator[PermissionCheck]:
    kind = verb.removeprefix("Attach").removeprefix("Detach").removesuffix("Policy")
    is_new = verb.startswith("Attach")
    if change.kind == "AWS::IAM::ManagedPolicy":
        names = change.added(f"{kind}s") if is_new else change.removed(f"{kind}s")
        for name in names:
            yield PermissionCheck(action, _named(change, kind.lower(), str(name)), {"iam:PolicyARN": own_arn(change)})
        return
    for arn in change.added("ManagedPolicyArns") if is_new else change.removed("ManagedPolicyArns"):
        yield PermissionCheck(action, own_arn(change), {"iam:PolicyARN": arn} | _held_boundary(change))


def _inline_or_boundary(change: Change, action: str, verb: str) -> Iterator[PermissionCheck]:
    """Check inline policies, and the boundary itself, whose key names the new boundary."""
    if verb.endswith("PermissionsBoundary"):
        wanted = change.properties.get("PermissionsBoundary")
        if bool(wanted) == verb.startswith("Put"):
            yield PermissionCheck(action, own_arn(change), _boundary(change.properties) or _held_boundary(change))
        return
    if verb.startswith("Put"):
        if change.added("Policies"):
            yield PermissionCheck(action, own_arn(change), _held_boundary(change))
        return
    kept = {policy["PolicyName"] for policy in change.properties.get("Policies") or []} if change.operation == "update" else set()
    if any(policy["PolicyName"] not in kept for policy in change.removed("Policies")):
        yield PermissionCheck(action, own_arn(change), _held_boundary(change))


# Whatever stands in neither is asked on the principal itself.
SPECIAL: dict[str, Checks] = {
    "AddUserToGroup": _grouped,
    "CreateServiceLinkedRole": _linked,
    "DeletePolicy": _plain,
    "PassRole": _passed,
    "RemoveUserFromGroup": _grouped,
    "UpdateAccessKey": _status,
}
BY_NAME: tuple[tuple[re.Pattern[str], Checks], ...] = (
    (re.compile("(Attach|Detach).+Policy"), _attached),
    (re.compile("(Put|Delete)(.+Policy|.+PermissionsBoundary)"), _inline_or_boundary),
    (re.compile("Tag.+"), _tagged),
    (re.compile("Untag.+"), _untagged),
)
