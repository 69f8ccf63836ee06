"""The host's machine as AWS::EC2::LaunchTemplate and AWS::AutoScaling::AutoScalingGroup make it: a record that never boots.

An instance is a row in ministack's EC2 that says "running" at once. Nothing runs in it: no user data is executed, no volume is
attached, nothing answers, and so it counts as having signalled success the moment it is there. CreationPolicy and UpdatePolicy are
met without waiting; that a version which does not answer is rolled back cannot be seen here.
"""

from typing import Any

from ministack.services import autoscaling, ec2, ssm
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]

# Canonical publishes the newest image's id under this name in every region (Ubuntu on AWS, "Find images with the Parameter Store").
UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"
UBUNTU_IMAGE = "ami-0240400a64000000f"
# What a change of has the rolling update replace the machines for.
ROLLING = ("LaunchTemplate", "VPCZoneIdentifier")


def register() -> None:
    """Publish Ubuntu's image, and correct ministack's two types."""
    ssm._PUBLIC_AMI_PARAMETERS[UBUNTU] = UBUNTU_IMAGE
    handlers = provisioners._RESOURCE_HANDLERS
    _keep_versions(handlers["AWS::EC2::LaunchTemplate"])
    _with_machines(handlers["AWS::AutoScaling::AutoScalingGroup"])


def _keep_versions(handler: dict[str, Any]) -> None:
    """Add a template version with a change alone, as AWS does.

    ministack adds one with every update of the stack, so that each would replace the machine.
    """
    update = handler["update"]

    def update_template(
        physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str | None = None
    ) -> Created:
        template = ec2._launch_templates.get(physical_id)
        if template is None or old != new:
            updated: Created = update(physical_id, old, new, stack_name, logical_id)
            return updated
        return physical_id, {
            "LaunchTemplateId": physical_id,
            "LaunchTemplateName": template["LaunchTemplateName"],
            "DefaultVersionNumber": str(template["DefaultVersionNumber"]),
            "LatestVersionNumber": str(template["LatestVersionNumber"]),
        }

    handler["update"] = update_template


def _with_machines(handler: dict[str, Any]) -> None:
    """Launch machines, and refuse a name that a group has already: ministack does neither."""
    create, update, delete = handler["create"], handler["update"], handler["delete"]

    def create_group(logical_id: str, properties: Properties, stack_name: str) -> Created:
        if (taken := properties.get("AutoScalingGroupName")) in autoscaling._asgs:
            raise ValueError(f"AutoScalingGroup by this name already exists - {taken} (AlreadyExists)")
        name, attributes = create(logical_id, properties, stack_name)
        try:
            _fill(autoscaling._asgs[name])
        except ValueError:
            delete_group(name, properties)
            raise
        return name, attributes

    def update_group(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str | None = None) -> Created:
        name, attributes = update(physical_id, old, new, stack_name, logical_id)
        group = autoscaling._asgs[name]
        if any(old.get(property_name) != new.get(property_name) for property_name in ROLLING):
            _empty(group, 0)
        _fill(group)
        return name, attributes

    def delete_group(physical_id: str, properties: Properties) -> None:
        if (group := autoscaling._asgs.get(physical_id)) is not None:
            _empty(group, 0)
        delete(physical_id, properties)

    handler |= {"create": create_group, "update": update_group, "delete": delete_group}
    # ministack's own update removes a group that was renamed by it.
    provisioners._asg_delete = delete_group


def _fill(group: Properties) -> None:
    """Launch or end machines until the group has its desired capacity."""
    subnets = [name for name in group["VPCZoneIdentifier"].split(",") if name]
    if unknown := [name for name in subnets if name not in ec2._subnets]:
        raise ValueError(f"The subnet ID '{unknown[0]}' does not exist (ValidationError)")
    group["AvailabilityZones"] = [ec2._subnets[name]["AvailabilityZone"] for name in subnets] or group["AvailabilityZones"]
    _empty(group, group["DesiredCapacity"])
    while len(group["Instances"]) < group["DesiredCapacity"]:
        subnet = subnets[len(group["Instances"]) % len(subnets)] if subnets else ""
        group["Instances"].append(_launch(group, subnet))


def _empty(group: Properties, down_to: int) -> None:
    """End the machines beyond so many, with the disks that were theirs alone."""
    gone, group["Instances"] = group["Instances"][down_to:], group["Instances"][:down_to]
    for member in gone:
        if (machine := ec2._instances.get(member["InstanceId"])) is None:
            continue
        ec2._terminate_instances({"InstanceId.1": [member["InstanceId"]]})
        for mapping in machine["BlockDeviceMappings"]:
            ec2._volumes.pop(mapping["Ebs"]["VolumeId"], None)


def _launch(group: Properties, subnet: str) -> Properties:
    """Make a machine's record in EC2 from the group's launch template, and return its entry in the group."""
    template = group["LaunchTemplate"]
    data = _launch_data(template)
    interface = (data.get("NetworkInterfaces") or [{}])[0]
    profile, refused = ec2._resolve_iam_instance_profile(iam_arn=(data.get("IamInstanceProfile") or {}).get("Arn", ""))
    if refused:
        raise ValueError(f"Invalid IamInstanceProfile: {data['IamInstanceProfile']['Arn']} (ValidationError)")
    (machine,) = ec2._launch_instances_internal(
        data.get("ImageId", ""),
        data.get("InstanceType", ""),
        subnet,
        1,
        user_data=data.get("UserData", ""),
        sg_ids=interface.get("Groups") or data.get("SecurityGroupIds"),
        iam_profile=profile,
    )
    identifier: str = machine["InstanceId"]
    zone = ec2._subnets[subnet]["AvailabilityZone"] if subnet else group["AvailabilityZones"][0]
    machine["Placement"]["AvailabilityZone"] = zone
    if machine["ImageId"] == UBUNTU_IMAGE:
        machine["Architecture"] = "arm64"
    ec2._tags[identifier] = [
        {"Key": "aws:autoscaling:groupName", "Value": group["AutoScalingGroupName"]},
        *(tag for spec in data.get("TagSpecifications") or [] if spec["ResourceType"] == "instance" for tag in spec["Tags"]),
    ]
    return {
        "InstanceId": identifier,
        "LifecycleState": "InService",
        "HealthStatus": "Healthy",
        "AvailabilityZone": zone,
        "ProtectedFromScaleIn": group["NewInstancesProtectedFromScaleIn"],
        "LaunchTemplate": template,
    }


def _launch_data(wanted: Properties) -> Properties:
    template = ec2._launch_templates.get(wanted.get("LaunchTemplateId", ""))
    if template is None:
        raise ValueError("The embedded AWS launches machines from a launch template alone.")
    version: str = wanted["Version"]
    known: Properties = {"$Latest": template["LatestVersionNumber"], "$Default": template["DefaultVersionNumber"]}
    number = int(known.get(version, version))
    launch_version = next((candidate for candidate in template["Versions"] if candidate["VersionNumber"] == number), None)
    if launch_version is None:
        raise ValueError(f"Could not find launch template version {number} (InvalidLaunchTemplateId.VersionNotFound)")
    data: Properties = launch_version["LaunchTemplateData"]
    return data
