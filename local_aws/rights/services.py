"""Permission checks of services with few resources: storage, keys, secrets, backups, logs, alarms, topics, machines, stacks."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from local_aws.rights.changes import Change
from local_aws.rights.permission_check import ANY, PermissionCheck, with_tags, without_tags

# Actions that name no resource, and so can be allowed on `*` alone (Service Authorization Reference, no resource types).
NAMELESS = frozenset(
    {
        "acm:RequestCertificate",
        "backup-storage:MountCapsule",
        "kms:CreateKey",
        "kms:ListAliases",
        "logs:DescribeIndexPolicies",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "secretsmanager:GetRandomPassword",
    }
)
_PATH_STYLE = re.compile(r"https?://s3[^/]*/([^/]+)/(.+?)(?:\?.*)?")
_HOST_STYLE = re.compile(r"https?://([^/]+?)\.s3[^/]*/(.+?)(?:\?.*)?")
NEW = "11111111-2222-3333-4444-555555555555"


def s3(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Check the bucket, or the object that is a nested stack's template."""
    if change.kind == "AWS::CloudFormation::Stack":
        bucket, key = template_of(str(change.properties.get("TemplateURL", "")))
        yield PermissionCheck(action, f"arn:{change.scope.partition}:s3:::{bucket}/{key}")
        return
    bucket = str(change.properties.get("BucketName") or change.properties.get("Bucket") or change.physical_id or change.logical_id)
    yield from _named(change, action, f"arn:{change.scope.partition}:s3:::{bucket.lower()}", made_by="CreateBucket")


def template_of(url: str) -> tuple[str, str]:
    """Return bucket and key of a template's address, in either form that S3 has."""
    match = _PATH_STYLE.fullmatch(url) or _HOST_STYLE.fullmatch(url)
    return (match[1], match[2]) if match else (ANY, ANY)


def kms(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Check the key, and an alias beside its key. Calls by another service carry that service's name."""
    arn = _key(change)
    if action.endswith("Alias"):
        yield PermissionCheck(action, change.scope.arn("kms", str(change.properties.get("AliasName"))))
        before = change.before.get("TargetKeyId")
        yield from (
            PermissionCheck(action, key) for key in dict.fromkeys([arn, *([_key_arn(change, str(before))] if before else [])])
        )
        return
    keys: dict[str, Any] = {}
    if change.kind != "AWS::KMS::Key" and action not in NAMELESS:
        service = {"AWS::Backup::BackupVault": "backup", "AWS::EC2::Volume": "ec2"}.get(change.kind, "")
        keys = {"kms:ViaService": f"{service}.{change.scope.region}.amazonaws.com"}
        if action == "kms:CreateGrant":
            keys["kms:GrantIsForAWSResource"] = "true"
    elif action == "kms:CreateKey":
        bypass = str(bool(change.properties.get("BypassPolicyLockoutSafetyCheck"))).lower()
        keys = {"kms:BypassPolicyLockoutSafetyCheck": bypass}
    for check in _named(change, action, arn, made_by="CreateKey"):
        yield PermissionCheck(check.action, check.resource, {**check.context, **keys}, check.tags)


def _key(change: Change) -> str:
    named = change.properties.get("TargetKeyId") or change.properties.get("EncryptionKeyArn") or change.properties.get("KmsKeyId")
    return _key_arn(change, str(named or change.physical_id or NEW))


def _key_arn(change: Change, key: str) -> str:
    return key if key.startswith("arn:") else change.scope.arn("kms", f"key/{key}")


def secretsmanager(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Check the secret, whose ARN ends with six characters of AWS's own."""
    name = str(change.properties.get("Name") or f"{change.stack}-{change.logical_id}")
    arn = (
        change.physical_id if change.physical_id.startswith("arn:") else change.scope.arn("secretsmanager", f"secret:{name}-AbCdEf")
    )
    yield from _named(change, action, arn, made_by="CreateSecret")


def backup(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Check the vault or the plan; a selection is a part of its plan."""
    if change.kind == "AWS::Backup::BackupVault":
        arn = change.scope.arn("backup", f"backup-vault:{change.properties.get('BackupVaultName') or change.physical_id}")
    else:
        arn = change.scope.arn("backup", f"backup-plan:{change.properties.get('BackupPlanId') or change.physical_id or NEW}")
    yield from _named(change, action, arn, made_by="CreateBackup")


def logs(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Check the log group."""
    name = change.properties.get("LogGroupName") or change.physical_id or f"{change.stack}-{change.logical_id}"
    yield from _named(change, action, change.scope.arn("logs", f"log-group:{name}"), made_by="CreateLogGroup")


def cloudwatch(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Check the alarm; a dashboard belongs to no region."""
    if change.kind == "AWS::CloudWatch::Dashboard":
        name = change.properties.get("DashboardName") or change.physical_id or change.logical_id
        arn = change.scope.of_account("cloudwatch", f"dashboard/{name}")
    else:
        name = change.properties.get("AlarmName") or change.physical_id or f"{change.stack}-{change.logical_id}"
        arn = change.scope.arn("cloudwatch", f"alarm:{name}")
    yield from _named(change, action, arn, made_by="Put")


def sns(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Check the topic, also of a subscription and of a policy for it."""
    properties = change.properties
    if topics := properties.get("Topics"):
        yield from (PermissionCheck(action, str(topic)) for topic in topics)
        return
    named = properties.get("TopicArn") or (change.physical_id if change.physical_id.startswith("arn:") else "")
    arn = str(named or change.scope.arn("sns", str(properties.get("TopicName") or f"{change.stack}-{change.logical_id}")))
    yield from _named(change, action, arn, made_by="CreateTopic")


def autoscaling(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Check the group, whose ARN holds an id that nobody knows beforehand."""
    if ":Describe" in action:
        yield PermissionCheck(action, ANY)
        return
    name = change.properties.get("AutoScalingGroupName") or change.physical_id or f"{change.stack}-{change.logical_id}"
    arn = change.scope.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{name}")
    yield from _named(change, action, arn, made_by="Create")


def elasticloadbalancing(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Check the balancer, target group or listener; a new listener belongs to the existing balancer."""
    if ":Describe" in action:
        yield PermissionCheck(action, ANY)
        return
    if change.physical_id.startswith("arn:"):
        arn = change.physical_id
    elif change.kind == "AWS::ElasticLoadBalancingV2::Listener":
        balancer = str(change.properties.get("LoadBalancerArn"))
        arn = balancer if action.endswith(":CreateListener") else balancer.replace(":loadbalancer/", ":listener/") + "/*"
    else:
        name = change.properties.get("Name") or f"{change.stack}-{change.logical_id}"
        kind = "loadbalancer/app" if change.kind.endswith("::LoadBalancer") else "targetgroup"
        arn = change.scope.arn("elasticloadbalancing", f"{kind}/{name}/*")
    for check in _named(change, action, arn, made_by="Create", tag="AddTags", untag="RemoveTags"):
        is_of_new = change.operation == "create" and action.endswith(":AddTags")
        keys = {"elasticloadbalancing:CreateAction": f"Create{change.kind.rpartition('::')[2]}"} if is_of_new else {}
        yield PermissionCheck(check.action, check.resource, {**check.context, **keys}, check.tags)


def acm(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Check the certificate."""
    arn = change.physical_id or change.scope.arn("acm", f"certificate/{NEW}")
    made = "RequestCertificate"
    yield from _named(change, action, arn, made_by=made, tag="AddTagsToCertificate", untag="RemoveTagsFromCertificate")


def cloudformation(change: Change, action: str) -> Iterator[PermissionCheck]:
    """Check the nested stack, which is named after the one that holds it."""
    arn = change.physical_id or change.scope.arn("cloudformation", f"stack/{change.stack}-{change.logical_id}-ABCDEFGHIJKL/*")
    yield from _named(change, action, arn, made_by="CreateStack")


def _named(
    change: Change, action: str, arn: str, *, made_by: str, tag: str = "TagResource", untag: str = "UntagResource"
) -> Iterator[PermissionCheck]:
    """Check one resource, with the tags that the call sets or removes."""
    verb = action.partition(":")[2]
    resource = ANY if action in NAMELESS else arn
    is_new = change.operation == "create"
    tags = change.tags if is_new else None
    if verb == untag:
        if change.lost_tags or change.operation == "delete":
            yield PermissionCheck(action, resource, without_tags(change.lost_tags or set(change.tags)))
    elif verb == "PutBucketTagging":
        # The older call's request carries no condition keys about the tags (Service Authorization Reference, S3).
        if change.new_tags:
            yield PermissionCheck(action, resource, {}, tags)
    elif verb == tag:
        if change.new_tags:
            yield PermissionCheck(action, resource, with_tags(change, change.new_tags), tags)
    elif is_new and verb.startswith(made_by):
        yield PermissionCheck(action, resource, with_tags(change), {})
    else:
        yield PermissionCheck(action, resource, {}, tags)


BY_SERVICE: dict[str, Callable[[Change, str], Iterator[PermissionCheck]]] = {
    "acm": acm,
    "autoscaling": autoscaling,
    "backup": backup,
    "backup-storage": backup,
    "cloudformation": cloudformation,
    "cloudwatch": cloudwatch,
    "elasticloadbalancing": elasticloadbalancing,
    "kms": kms,
    "logs": logs,
    "s3": s3,
    "secretsmanager": secretsmanager,
    "sns": sns,
}
