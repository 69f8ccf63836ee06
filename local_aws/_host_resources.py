"""CloudFormation resource types of the host and its backups that ministack lacks, made through its own EC2 and AWS Backup.

Each handler follows the type's page of the CloudFormation template reference, "Update requires". A property that this module does
not know is refused rather than left out.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from ministack.services import backup, ec2
from ministack.services.cloudformation import changesets, provisioners

Properties = dict[str, Any]
Created = tuple[str, dict[str, Any]]

VOLUME_FIXED = ("AvailabilityZone", "Encrypted", "KmsKeyId", "SnapshotId")
VOLUME_CHANGEABLE = ("Size", "VolumeType", "Iops", "Throughput")
RULE_SOURCES = ("CidrIp", "CidrIpv6", "SourceSecurityGroupId", "SourceSecurityGroupOwnerId", "SourcePrefixListId")
RULE_LISTS = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
VAULT_LOCK = ("MinRetentionDays", "MaxRetentionDays")
DAY_SECONDS = 24 * 60 * 60


def register() -> None:
    """Add the types to ministack's table, and the vault's lock to the type that it has."""
    handlers = provisioners._RESOURCE_HANDLERS
    handlers["AWS::EC2::Volume"] = {"create": create_volume, "update": update_volume, "delete": delete_volume}
    handlers["AWS::EC2::EIP"] = {"create": create_address, "update": update_address, "delete": delete_address}
    handlers["AWS::EC2::SecurityGroupIngress"] = {"create": create_rule, "update": update_rule, "delete": delete_rule}
    handlers["AWS::Backup::BackupSelection"] = {
        "create": create_selection,
        "update": update_selection,
        "delete": delete_selection,
    }
    # The stack's own tags reach these too.
    provisioners._STACK_TAG_PROPERTY |= {"AWS::EC2::Volume": ("Tags", "list"), "AWS::EC2::EIP": ("Tags", "list")}
    _with_lock(handlers["AWS::Backup::BackupVault"])


def create_volume(logical_id: str, properties: Properties, stack_name: str) -> Created:
    """Create a volume that is attached to nothing. Ref is its id."""
    _refuse_unknown("AWS::EC2::Volume", properties, {*VOLUME_FIXED, *VOLUME_CHANGEABLE, "Tags"})
    if not properties.get("AvailabilityZone") or not (properties.get("Size") or properties.get("SnapshotId")):
        raise ValueError("AWS::EC2::Volume needs an AvailabilityZone, and a Size or a SnapshotId. (MissingParameter)")
    size = properties.get("Size") or _snapshot_size(properties["SnapshotId"])
    before = set(ec2._volumes)
    wanted = {name: properties[name] for name in (*VOLUME_FIXED, "VolumeType", "Iops") if properties.get(name) is not None}
    _call(ec2._create_volume, Size=size, **wanted)
    (volume,) = set(ec2._volumes) - before
    if properties.get("Throughput"):
        ec2._volumes[volume]["Throughput"] = int(properties["Throughput"])
    provisioners._ec2_apply_tags(volume, properties)
    return volume, {"VolumeId": volume}


def update_volume(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Created:
    """Update size, kind and tags in place; zone and source of a volume cannot be updated at all."""
    _refuse_unknown("AWS::EC2::Volume", new, {*VOLUME_FIXED, *VOLUME_CHANGEABLE, "Tags"})
    if changed := [name for name in VOLUME_FIXED if old.get(name) != new.get(name)]:
        raise ValueError(f"Updates are not supported for {', '.join(changed)} of AWS::EC2::Volume. (NotUpdatable)")
    volume = ec2._volumes.get(physical_id)
    if volume is None:
        raise ValueError(f"The volume '{physical_id}' does not exist. (InvalidVolume.NotFound)")
    if new.get("Size") and int(new["Size"]) < volume["Size"]:
        raise ValueError("New size cannot be smaller than existing size. (InvalidParameterValue)")
    # ModifyVolume, for what differs: what is the same may have been changed by others.
    changes = {name: new[name] for name in VOLUME_CHANGEABLE if new.get(name) is not None and new[name] != old.get(name)}
    if throughput := changes.pop("Throughput", None):
        volume["Throughput"] = int(throughput)
    _call(ec2._modify_volume, VolumeId=physical_id, **changes)
    provisioners._ec2_apply_tags(physical_id, new, old)
    return physical_id, {"VolumeId": physical_id}


def delete_volume(physical_id: str, properties: Properties) -> None:
    """Delete the volume. Refused while it is attached, as EC2 does; nothing to do where it is gone already."""
    if physical_id in ec2._volumes:
        _call(ec2._delete_volume, VolumeId=physical_id)
        ec2._tags.pop(physical_id, None)


def create_address(logical_id: str, properties: Properties, stack_name: str) -> Created:
    """Allocate an Elastic IP address. Ref is the address itself."""
    _refuse_unknown("AWS::EC2::EIP", properties, {"Domain", "Tags"})
    before = set(ec2._addresses)
    _call(ec2._allocate_address, Domain=properties.get("Domain", "vpc"))
    (allocation,) = set(ec2._addresses) - before
    provisioners._ec2_apply_tags(allocation, properties)
    return _address(allocation)


def update_address(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Created:
    """Update the tags in place."""
    _refuse_unknown("AWS::EC2::EIP", new, {"Domain", "Tags"})
    allocation = _allocation(physical_id)
    if allocation is None:
        raise ValueError(f"Address {physical_id} was not found. (InvalidAddress.NotFound)")
    provisioners._ec2_apply_tags(allocation, new, old)
    return _address(allocation)


def delete_address(physical_id: str, properties: Properties) -> None:
    """Release the address, even one that is associated."""
    if allocation := _allocation(physical_id):
        _call(ec2._release_address, AllocationId=allocation)


def create_rule(logical_id: str, properties: Properties, stack_name: str) -> Created:
    """Add a rule to a security group that another resource made. Ref is an id that ministack's EC2 does not know."""
    _refuse_unknown(
        "AWS::EC2::SecurityGroupIngress",
        properties,
        {"GroupId", "IpProtocol", "FromPort", "ToPort", "Description", *RULE_SOURCES},
    )
    group = ec2._security_groups.get(properties.get("GroupId", ""))
    if group is None:
        raise ValueError(f"The security group '{properties.get('GroupId')}' does not exist. (InvalidGroup.NotFound)")
    (rule,) = provisioners._ec2_sg_permissions([properties])
    if any(_is_same(rule, other) for other in group["IpPermissions"]):
        raise ValueError("The specified rule already exists. (InvalidPermission.Duplicate)")
    group["IpPermissions"].append(rule)
    identifier = f"sgr-{ec2.new_uuid().replace('-', '')[:17]}"
    return identifier, {"Id": identifier}


def update_rule(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Created:
    """Update the description in place; replace the rule for any other change."""
    if {**old, "Description": None} == {**new, "Description": None}:
        delete_rule(physical_id, old)
        create_rule(physical_id, new, stack_name)
        return physical_id, {"Id": physical_id}
    created = create_rule(physical_id, new, stack_name)
    provisioners._delete_predecessor(delete_rule, physical_id, old)
    return created


def delete_rule(physical_id: str, properties: Properties) -> None:
    """Take the rule out, where the group is still there."""
    group = ec2._security_groups.get(properties.get("GroupId", ""))
    if group is not None:
        (rule,) = provisioners._ec2_sg_permissions([properties])
        group["IpPermissions"] = [other for other in group["IpPermissions"] if not _is_same(rule, other)]


def create_selection(logical_id: str, properties: Properties, stack_name: str) -> Created:
    """Create a backup plan's selection. Nothing is ever copied here."""
    plan = properties["BackupPlanId"]
    answer = _answered(backup._create_selection(plan, {"BackupSelection": properties["BackupSelection"]}))
    identifier = answer["SelectionId"]
    return identifier, {"Id": identifier, "SelectionId": identifier, "BackupPlanId": plan}


def update_selection(physical_id: str, old: Properties, new: Properties, stack_name: str) -> Created:
    """Replace a changed selection; the old one goes when the stack is done."""
    if old == new and physical_id in backup._selections:
        return physical_id, {"Id": physical_id, "SelectionId": physical_id, "BackupPlanId": new["BackupPlanId"]}
    created = create_selection(physical_id, new, stack_name)
    provisioners._delete_predecessor(delete_selection, physical_id, old)
    return created


def delete_selection(physical_id: str, properties: Properties) -> None:
    """Remove the selection, if it still exists."""
    backup._selections.pop(physical_id, None)


def _with_lock(handler: dict[str, Any]) -> None:
    """Add LockConfiguration to ministack's AWS::Backup::BackupVault, and refuse a name that a vault has already."""
    create, update = handler["create"], handler["update"]

    def create_vault(logical_id: str, properties: Properties, stack_name: str) -> Created:
        if (taken := properties.get("BackupVaultName")) in backup._vaults:
            raise ValueError(f"Backup vault with the same name already exists: {taken} (AlreadyExistsException)")
        name, attributes = create(logical_id, properties, stack_name)
        _lock(name, properties)
        return name, attributes

    def update_vault(physical_id: str, old: Properties, new: Properties, stack_name: str, logical_id: str | None = None) -> Created:
        name, attributes = update(physical_id, old, new, stack_name, logical_id)
        _lock(name, new)
        return name, attributes

    handler |= {"create": create_vault, "update": update_vault, "import": import_vault}
    # A template names a vault, so that a stack can take over what an earlier one kept (--import-existing-resources).
    changesets._IMPORT_LOOKUPS["AWS::Backup::BackupVault"] = (("BackupVaultName",), _why_no_import)


def import_vault(identifier: dict[str, str]) -> Created:
    """Import the vault as it is; CloudFormation changes nothing of what it takes over."""
    name = identifier["BackupVaultName"]
    return name, {"BackupVaultName": name, "BackupVaultArn": backup._vaults[name]["BackupVaultArn"]}


def _why_no_import(name: str) -> str | None:
    return None if name in backup._vaults else f"Backup vault {name} was not found."


def _lock(vault: str, properties: Properties) -> None:
    """Write the lock as DescribeBackupVault shows it. AWS makes it permanent from its date on; ministack does not."""
    record, lock = backup._vaults[vault], properties.get("LockConfiguration")
    for name in (*VAULT_LOCK, "LockDate"):
        record.pop(name, None)
    record["Locked"] = bool(lock)
    if lock:
        record |= {name: int(lock[name]) for name in VAULT_LOCK if lock.get(name) is not None}
        if grace := lock.get("ChangeableForDays"):
            record["LockDate"] = record["CreationDate"] + int(grace) * DAY_SECONDS


def _address(allocation: str) -> Created:
    address = ec2._addresses[allocation]["PublicIp"]
    return address, {"AllocationId": allocation, "PublicIp": address}


def _allocation(address: str) -> str | None:
    return next((name for name, record in ec2._addresses.items() if record["PublicIp"] == address), None)


def _snapshot_size(snapshot: str) -> int:
    if snapshot not in ec2._snapshots:
        raise ValueError(f"The snapshot '{snapshot}' does not exist. (InvalidSnapshot.NotFound)")
    return int(ec2._snapshots[snapshot]["VolumeSize"])


def _is_same(rule: Properties, other: Properties) -> bool:
    """Return whether two rules allow the same, apart from their descriptions."""
    return _undescribed(rule) == _undescribed(other)


def _undescribed(rule: Properties) -> Properties:
    plain = {name: rule.get(name) for name in ("IpProtocol", "FromPort", "ToPort")}
    for name in RULE_LISTS:
        plain[name] = [{part: value for part, value in source.items() if part != "Description"} for source in rule.get(name) or []]
    return plain


def _refuse_unknown(kind: str, properties: Properties, known: set[str]) -> None:
    if unknown := sorted(properties.keys() - known):
        raise ValueError(f"The embedded AWS does not know {', '.join(unknown)} of {kind}.")


def _call(action: Callable[[dict[str, Any]], tuple[int, Any, Any]], **parameters: Any) -> None:
    """Call one of ministack's EC2 actions. Raises ValueError with its answer, which CloudFormation shows as the reason."""
    sent = {name: [str(value).lower() if isinstance(value, bool) else str(value)] for name, value in parameters.items()}
    status, _, body = action(sent)
    if status >= 400:
        text = body.decode() if isinstance(body, bytes) else str(body)
        code, message = (re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("Code", "Message"))
        raise ValueError(f"{message[1]} ({code[1]})" if code and message else text)


def _answered(answer: tuple[int, Any, Any]) -> Properties:
    """Return AWS Backup's answer. Raises ValueError where it refused."""
    status, _, body = answer
    read: Properties = json.loads(body)
    if status >= 400:
        raise ValueError(f"{read['Message']} ({read['__type']})")
    return read
