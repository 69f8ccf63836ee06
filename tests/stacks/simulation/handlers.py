"""What CloudFormation's own handlers call, by the CloudFormation registry's schemas as cfn-lint carries them, and on what."""

from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.stacks.simulation import ACCOUNT, Call
from tests.stacks.simulation.needs import NEEDS, OURS, REGION

# No resource to be asked on (Service Authorization Reference), or none that has a name of ours.
ON_NOTHING = (
    *("autoscaling:Describe", "cloudwatch:DescribeAlarms", "ec2:Describe", "elasticloadbalancing:Describe", "kms:ListAliases"),
    *("logs:Describe", "logs:GetDataProtectionPolicy", "sns:GetSubscriptionAttributes", "sns:Unsubscribe"),
)
# What a handler lists for properties that we never set, with the reason.
NOT_NEEDED = {
    "managed-fleets:Get*": "an Auto Scaling group of EC2's managed fleets",
    "managed-fleets:DeleteAutoScalingGroup": "the same",
    "ec2:CreateSnapshot": "a volume whose deletion policy is Snapshot",
    "ec2:DescribeVpnGateways": "a VPN gateway",
    "ec2:DetachVpnGateway": "a VPN gateway",
    "secretsmanager:RemoveRegionsFromReplication": "a secret that is replicated",
    "logs:DeleteDataProtectionPolicy": "a data protection policy",
    "iam:DeleteLoginProfile": "a user with a password",
    "iam:DetachUserPolicy": "a user with policies of their own",
    "iam:RemoveUserFromGroup": "asked of the IAM group, with the group's own calls",
    "backup:ListTags": "asked with backup:List*, as the simulator takes a vault's ARN for two types here",
    "iam:DetachRolePolicy": "asked apart, with the policy that is detached",
    "iam:DetachGroupPolicy": "asked apart, with the policy that is detached",
}


def handlers(type_name: str) -> dict[str, list[str]]:
    """The actions of each handler of a type; empty for a type that the registry gives none for."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, type_name).schema
    return {name: one["permissions"] for name, one in schema.get("handlers", {}).items()}


def calls(handler: str, type_name: str, properties: dict[str, Any]) -> list[Call]:
    """What this handler calls for a resource of ours, on the ARN that its type's other calls are on."""
    arns = {call.action.split(":")[0]: call for call in reversed(NEEDS[type_name](properties)) if call.resource != "*"}
    found = []
    for action in handlers(type_name).get(handler, []):
        if action in NOT_NEEDED:
            continue
        service = action.split(":")[0]
        if action.startswith(ON_NOTHING):
            found.append(Call(action.replace("*", "AutoScalingGroups"), "*"))
        elif service in arns:
            # What is there already carries our tag.
            found.append(Call(action, arns[service].resource, OURS if service in ("ec2", "kms") else arns[service].context))
        else:
            found.append(_elsewhere(action, type_name, properties))
    return found


def _elsewhere(action: str, type_name: str, properties: dict[str, Any]) -> Call:
    """Of a type whose other calls name no resource: what belongs to another one."""
    if type_name == "AWS::S3::BucketPolicy":
        return Call(action, f"arn:aws:s3:::cohort-backups-{ACCOUNT}-{REGION}")
    if type_name == "AWS::KMS::Alias":
        return Call(action, f"arn:aws:kms:{REGION}:{ACCOUNT}:{properties['AliasName']}")
    if type_name == "AWS::Backup::BackupSelection":
        return Call(action, f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-plan:1")
    if type_name.startswith("AWS::SNS::"):
        return Call(action, f"arn:aws:sns:{REGION}:{ACCOUNT}:cohort-alarms")
    if type_name.startswith("AWS::EC2::"):
        return Call(action, f"arn:aws:ec2:{REGION}:{ACCOUNT}:internet-gateway/igw-1", OURS)
    raise LookupError(f"Nothing says what {action} of {type_name} is asked on.")
