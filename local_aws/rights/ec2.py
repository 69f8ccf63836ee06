"""EC2's permission checks: each resource that a call touches, the tags that it sets, and the call that a tag comes with."""

from collections.abc import Iterator
from typing import Any

from local_aws.rights.changes import Change
from local_aws.rights.permission_check import ANY, PermissionCheck, with_tags, without_tags

# Each type's own kind of resource, and the property that holds its id where the physical id does not.
OWN = {
    "AWS::EC2::EIP": ("elastic-ip", ""),
    "AWS::EC2::InternetGateway": ("internet-gateway", ""),
    "AWS::EC2::LaunchTemplate": ("launch-template", ""),
    "AWS::EC2::Route": ("route-table", "RouteTableId"),
    "AWS::EC2::RouteTable": ("route-table", ""),
    "AWS::EC2::SecurityGroup": ("security-group", ""),
    "AWS::EC2::SecurityGroupIngress": ("security-group", "GroupId"),
    "AWS::EC2::Subnet": ("subnet", ""),
    "AWS::EC2::SubnetRouteTableAssociation": ("route-table", "RouteTableId"),
    "AWS::EC2::VPC": ("vpc", ""),
    "AWS::EC2::VPCGatewayAttachment": ("internet-gateway", "InternetGatewayId"),
    "AWS::EC2::Volume": ("volume", ""),
}
# The calls that make something, by what they make.
MAKES = {
    "AllocateAddress": "elastic-ip",
    "CreateInternetGateway": "internet-gateway",
    "CreateLaunchTemplate": "launch-template",
    "CreateRouteTable": "route-table",
    "CreateSecurityGroup": "security-group",
    "CreateSubnet": "subnet",
    "CreateVolume": "volume",
    "CreateVpc": "vpc",
}
# What these touch besides: the kind of resource, and the property that names it.
BESIDE = {
    "AssociateRouteTable": (("subnet", "SubnetId"),),
    "AttachInternetGateway": (("vpc", "VpcId"),),
    "CreateRouteTable": (("vpc", "VpcId"),),
    "CreateSecurityGroup": (("vpc", "VpcId"),),
    "CreateSubnet": (("vpc", "VpcId"),),
    "DetachInternetGateway": (("vpc", "VpcId"),),
    "DisassociateRouteTable": (("subnet", "SubnetId"),),
}
# Of all that look, these two alone name a resource (Service Authorization Reference, EC2).
ON_ITS_OWN = frozenset({"DescribeVolumeAttribute", "DescribeVpcAttribute"})


def checks_of(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Yield the checks of one of EC2's actions."""
    verb = action.removeprefix("ec2:")
    if verb == "RunInstances":
        yield from _machines(change, action)
    elif verb.startswith(("Describe", "Get")):
        yield PermissionCheck(action, _own(change) if verb in ON_ITS_OWN else ANY)
    elif verb == "CreateTags" and change.kind == "AWS::AutoScaling::AutoScalingGroup":
        yield from _tagged_machines(change, action)
    elif verb in ("CreateTags", "DeleteTags"):
        yield from _tagged(change, action, verb)
    else:
        if verb in MAKES:
            yield PermissionCheck(action, _own(change), with_tags(change, _creation_tags(change)) | _volume_keys(change), {})
        elif not (verb.startswith(("Authorize", "Revoke", "UpdateSecurityGroupRule")) and not _rules_change(change, verb)):
            yield PermissionCheck(action, _own(change), _volume_keys(change), _just_made(change))
        for kind, name in BESIDE.get(verb, ()):
            yield PermissionCheck(action, _arn(change, kind, str(change.properties.get(name) or ANY)))
        if verb == "CreateVolume" and (snapshot := change.properties.get("SnapshotId")):
            # Since January 2025 (AWS storage blog, "Enhancing resource-level permission for creating an Amazon EBS volume
            # from a snapshot").
            yield PermissionCheck(action, change.scope.of_aws("ec2", f"snapshot/{snapshot}"))


def _own(change: Change) -> str:
    kind, name = OWN[change.kind]
    if change.kind == "AWS::EC2::EIP" and change.physical_id:
        # A template knows an address by itself, IAM by its allocation.
        return change.scope.facts.arn(kind, change.physical_id) or _arn(change, kind, ANY)
    held = change.properties.get(name) if name else ""
    return _arn(change, kind, str(held or change.physical_id or ANY))


def _arn(change: Change, kind: str, identifier: str) -> str:
    return change.scope.arn("ec2", f"{kind}/{identifier}")


def _just_made(change: Change) -> dict[str, str] | None:
    """Return the tags of what this change makes itself; None where a route or a rule belongs to what existed before."""
    return change.tags if change.operation == "create" and not OWN[change.kind][1] else None


def _volume_keys(change: Change) -> dict[str, Any]:
    if change.kind != "AWS::EC2::Volume":
        return {}
    keys = {"ec2:Encrypted": str(bool(change.properties.get("Encrypted"))).lower()}
    named = {"ec2:AvailabilityZone": "AvailabilityZone", "ec2:VolumeType": "VolumeType"}
    return keys | {key: change.properties[name] for key, name in named.items() if change.properties.get(name)}


def _tagged(change: Change, action: str, verb: str) -> Iterator[PermissionCheck]:
    if verb == "DeleteTags":
        if change.lost_tags:
            yield PermissionCheck(action, _own(change), without_tags(change.lost_tags))
        return
    if change.operation != "create":
        if change.new_tags:
            yield PermissionCheck(action, _own(change), with_tags(change, change.new_tags))
        return
    own = OWN[change.kind][0]
    call = next(name for name, kind in MAKES.items() if kind == own)
    if tags := _creation_tags(change):
        yield PermissionCheck(action, _own(change), with_tags(change, tags) | {"ec2:CreateAction": call}, tags)


def _creation_tags(change: Change) -> dict[str, str]:
    """Return the tags that the resource is made with."""
    if change.kind == "AWS::EC2::LaunchTemplate":
        return specified(change.properties.get("TagSpecifications"), "launch-template")
    return change.tags


def specified(specifications: Any, kind: str) -> dict[str, str]:
    """Return the tags that a launch template, or a request, gives to one kind of resource."""
    return {
        str(tag["Key"]): str(tag["Value"])
        for specification in specifications or []
        if specification.get("ResourceType") == kind
        for tag in specification.get("Tags") or []
        if not str(tag["Key"]).startswith("aws:")
    }


def _rules_change(change: Change, verb: str) -> bool:
    """Return whether rules come, or go, in the direction that the call is about."""
    name = "SecurityGroupEgress" if verb.endswith("Egress") else "SecurityGroupIngress"
    if change.kind != "AWS::EC2::SecurityGroup":
        return True
    if verb.startswith("Authorize"):
        return bool(change.added(name))
    # A new group begins with a rule that lets everything out, which goes where the template names its own.
    return bool(change.added(name) if change.operation == "create" else change.removed(name))


def _machines(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Yield Auto Scaling's checks on the maker of a group that uses a launch template.

    Amazon EC2 Auto Scaling user guide, "Control Amazon EC2 launch template usage in Auto Scaling groups".
    """
    wanted = change.properties.get("LaunchTemplate") or {}
    data = change.scope.facts.launch_template(wanted)
    template = _arn(change, "launch-template", str(wanted.get("LaunchTemplateId") or ANY))
    keys = {"ec2:LaunchTemplate": template, "ec2:IsLaunchTemplateResource": "true"}
    tags = specified(data.get("TagSpecifications"), "instance")
    running = {"ec2:InstanceType": data.get("InstanceType", ""), "ec2:MetadataHttpTokens": _tokens(data)}
    yield PermissionCheck(action, change.scope.of_aws("ec2", f"image/{data.get('ImageId') or ANY}"), keys)
    yield PermissionCheck(action, _arn(change, "instance", ANY), keys | running | with_tags(change, tags), {})
    yield PermissionCheck(action, template, keys)
    yield PermissionCheck(action, _arn(change, "network-interface", ANY), keys, {})
    yield from (PermissionCheck(action, _arn(change, "security-group", group), keys) for group in _security_groups(data))
    subnets = change.properties.get("VPCZoneIdentifier") or [ANY]
    yield from (PermissionCheck(action, _arn(change, "subnet", str(subnet)), keys) for subnet in subnets)
    yield PermissionCheck(
        action, _arn(change, "volume", ANY), keys | with_tags(change, specified(data.get("TagSpecifications"), "volume")), {}
    )


def _tagged_machines(change: Change, action: str) -> Iterator[PermissionCheck]:
    data = change.scope.facts.launch_template(change.properties.get("LaunchTemplate") or {})
    for kind in ("instance", "volume"):
        if tags := specified(data.get("TagSpecifications"), kind):
            keys = with_tags(change, tags) | {"ec2:CreateAction": "RunInstances"}
            yield PermissionCheck(action, _arn(change, kind, ANY), keys, tags)


def _tokens(data: Any) -> str:
    return str((data.get("MetadataOptions") or {}).get("HttpTokens", "optional"))


def _security_groups(data: Any) -> list[str]:
    interfaces = data.get("NetworkInterfaces") or []
    named = [group for interface in interfaces for group in interface.get("Groups") or []] or data.get("SecurityGroupIds") or [ANY]
    return [str(group) for group in named]
