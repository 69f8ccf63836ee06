"""What CloudFormation calls to make, read, change and remove each type of resource of ours, and on what.

The actions are those of the types' own handlers (CloudFormation registry, as cfn-lint carries it) that our properties lead to.
"""

from typing import Any

from tests.stacks.simulation import ACCOUNT, Call

REGION = "us-east-1"
OURS = {"aws:ResourceTag/project": "cohort"}
ASKED = {"aws:RequestTag/project": "cohort"}


def _iam(kind: str, properties: dict[str, Any], name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:{kind}{properties['Path']}{name}"


def _here(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


def _calls(service: str, actions: str, resource: str, context: dict[str, Any] | None = None) -> list[Call]:
    return [Call(f"{service}:{action}", resource, context or {}) for action in actions.split()]


def role(properties: dict[str, Any]) -> list[Call]:
    arn = _iam("role", properties, properties["RoleName"])
    bound = {"iam:PermissionsBoundary": properties["PermissionsBoundary"]}
    calls = _calls("iam", "CreateRole PutRolePolicy DeleteRolePolicy PutRolePermissionsBoundary", arn, bound)
    if properties.get("ManagedPolicyArns"):
        attached = bound | {"iam:PolicyARN": f"arn:aws:iam::{ACCOUNT}:policy/cohort/example-lab/cohort-example-lab-1"}
        calls += _calls("iam", "AttachRolePolicy DetachRolePolicy", arn, attached)
    plain = "DeleteRole GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies TagRole UntagRole UpdateRole"
    return calls + _calls("iam", f"{plain} UpdateRoleDescription UpdateAssumeRolePolicy", arn)


def user(properties: dict[str, Any]) -> list[Call]:
    arn = _iam("user", properties, properties["UserName"])
    bound = {"iam:PermissionsBoundary": properties["PermissionsBoundary"]}
    inline = _calls("iam", "DeleteUserPolicy PutUserPolicy", arn, bound) + _calls("iam", "GetUserPolicy", arn)
    plain = "DeleteUser GetUser ListAccessKeys ListAttachedUserPolicies ListGroupsForUser ListUserPolicies TagUser UntagUser"
    keys = "CreateAccessKey DeleteAccessKey UpdateAccessKey"
    made = _calls("iam", "CreateUser PutUserPermissionsBoundary", arn, bound)
    return made + inline + _calls("iam", f"{plain} {keys}", arn)


def group(properties: dict[str, Any]) -> list[Call]:
    arn = _iam("group", properties, properties["GroupName"])
    attached = {"iam:PolicyARN": f"arn:aws:iam::{ACCOUNT}:policy{properties['Path']}{properties['GroupName']}-1"}
    plain = "AddUserToGroup CreateGroup DeleteGroup GetGroup ListAttachedGroupPolicies ListGroupPolicies RemoveUserFromGroup"
    inline = "DeleteGroupPolicy GetGroupPolicy PutGroupPolicy"
    return _calls("iam", "AttachGroupPolicy DetachGroupPolicy", arn, attached) + _calls("iam", f"{plain} {inline}", arn)


def managed_policy(properties: dict[str, Any]) -> list[Call]:
    arn = _iam("policy", properties, properties["ManagedPolicyName"])
    actions = "CreatePolicy CreatePolicyVersion DeletePolicy DeletePolicyVersion GetPolicy GetPolicyVersion ListEntitiesForPolicy"
    return _calls("iam", f"{actions} ListPolicyVersions SetDefaultPolicyVersion TagPolicy UntagPolicy", arn)


def profile(properties: dict[str, Any]) -> list[Call]:
    arn = _iam("instance-profile", properties, properties["InstanceProfileName"])
    actions = (
        "AddRoleToInstanceProfile CreateInstanceProfile DeleteInstanceProfile GetInstanceProfile RemoveRoleFromInstanceProfile"
    )
    passed = {"iam:PassedToService": "ec2.amazonaws.com"}
    return _calls("iam", actions, arn) + _calls("iam", "PassRole", f"arn:aws:iam::{ACCOUNT}:role/cohort-host/cohort-host", passed)


def secret(properties: dict[str, Any]) -> list[Call]:
    arn = _here("secretsmanager", f"secret:{properties['Name']}-AbCdEf")
    actions = "CreateSecret DescribeSecret GetSecretValue TagResource UntagResource UpdateSecret"
    removal = "" if "cohort-host" in arn else " DeleteSecret"
    return _calls("secretsmanager", actions + removal, arn) + _calls("secretsmanager", "GetRandomPassword", "*")


def bucket(properties: dict[str, Any]) -> list[Call]:
    arn = f"arn:aws:s3:::{properties['BucketName']}"
    puts = (
        "PutBucketCORS PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock PutBucketTagging PutBucketVersioning"
    )
    gets = "GetBucketCORS GetBucketPolicy GetBucketPublicAccessBlock GetBucketVersioning GetEncryptionConfiguration"
    settings = "PutBucketObjectLockConfiguration PutEncryptionConfiguration PutLifecycleConfiguration GetLifecycleConfiguration"
    return _calls("s3", f"CreateBucket ListBucket {puts} {gets} {settings}", arn)


def key(properties: dict[str, Any]) -> list[Call]:
    arn = _here("kms", "key/11111111-2222-3333-4444-555555555555")
    grant = {"kms:GrantIsForAWSResource": "true"}
    uses = "CreateAlias Decrypt DescribeKey EnableKeyRotation GenerateDataKey GetKeyPolicy GetKeyRotationStatus"
    return [
        *_calls("kms", "CreateKey", "*", ASKED),
        *_calls("kms", "TagResource", arn, ASKED),
        # Its tags may be known to authorisation at once, or minutes later.
        *(
            call
            for known in (OURS, {})
            for call in (*_calls("kms", "CreateGrant", arn, grant | known), *_calls("kms", uses, arn, known))
        ),
        *_calls("kms", "CreateAlias", _here("kms", "alias/cohort-backups")),
    ]


def vault(properties: dict[str, Any]) -> list[Call]:
    arn = _here("backup", f"backup-vault:{properties['BackupVaultName']}")
    actions = "CreateBackupVault DescribeBackupVault PutBackupVaultLockConfiguration"
    return _calls("backup", actions, arn) + _calls("backup-storage", "MountCapsule", "*")


def plan(properties: dict[str, Any]) -> list[Call]:
    arn = _here("backup", "backup-plan:11111111-2222-3333-4444-555555555555")
    passed = {"iam:PassedToService": "backup.amazonaws.com"}
    actions = "CreateBackupPlan CreateBackupSelection DeleteBackupPlan DeleteBackupSelection GetBackupPlan UpdateBackupPlan"
    return _calls("backup", actions, arn) + _calls(
        "iam", "PassRole", f"arn:aws:iam::{ACCOUNT}:role/cohort-host/cohort-backup", passed
    )


def volume(properties: dict[str, Any]) -> list[Call]:
    arn = _here("ec2", "volume/vol-1")
    made = {"ec2:CreateAction": "CreateVolume"} | ASKED
    return [
        *_calls("ec2", "CreateVolume", arn, ASKED),
        *(_calls("ec2", "CreateVolume", f"arn:aws:ec2:{REGION}::snapshot/snap-1", OURS) if properties.get("SnapshotId") else []),
        *_calls("ec2", "CreateTags", arn, made),
        *_calls("ec2", "ModifyVolume", arn, OURS),
        *_calls("ec2", "DescribeVolumes", "*"),
    ]


def log_group(properties: dict[str, Any]) -> list[Call]:
    arn = _here("logs", f"log-group:{properties['LogGroupName']}")
    return _calls("logs", "CreateLogGroup PutRetentionPolicy TagResource ListTagsForResource", arn)


def alarm(properties: dict[str, Any]) -> list[Call]:
    arn = _here("cloudwatch", f"alarm:{properties['AlarmName']}")
    return _calls("cloudwatch", "PutMetricAlarm DeleteAlarms TagResource DescribeAlarms", arn)


def topic(properties: dict[str, Any]) -> list[Call]:
    arn = _here("sns", properties["TopicName"])
    return _calls("sns", "CreateTopic DeleteTopic GetTopicAttributes SetTopicAttributes Subscribe TagResource", arn)


def dashboard(properties: dict[str, Any]) -> list[Call]:
    arn = f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{properties['DashboardName']}"
    return _calls("cloudwatch", "PutDashboard GetDashboard DeleteDashboards", arn)


def scaling(properties: dict[str, Any]) -> list[Call]:
    arn = _here("autoscaling", f"autoScalingGroup:1-2:autoScalingGroupName/{properties['AutoScalingGroupName']}")
    actions = "CreateAutoScalingGroup UpdateAutoScalingGroup DeleteAutoScalingGroup SuspendProcesses ResumeProcesses"
    return [
        *_calls("autoscaling", actions, arn),
        *_calls("ec2", "RunInstances", _here("ec2", "instance/*"), {"ec2:InstanceType": "t4g.small"}),
        *_calls("ec2", "CreateTags", _here("ec2", "instance/*"), {"ec2:CreateAction": "RunInstances"}),
        *_calls(
            "iam", "PassRole", f"arn:aws:iam::{ACCOUNT}:role/cohort-host/cohort-host", {"iam:PassedToService": "ec2.amazonaws.com"}
        ),
    ]


def _network(kind: str, make: str, change: str) -> Any:
    def needs(properties: dict[str, Any]) -> list[Call]:
        arn = _here("ec2", f"{kind}/{kind}-1")
        made = _calls("ec2", make, arn) + _calls("ec2", "CreateTags", arn, {"ec2:CreateAction": make}) if make else []
        return made + _calls("ec2", change, arn, OURS)

    return needs


def nested_stack(properties: dict[str, Any]) -> list[Call]:
    stack = _here("cloudformation", "stack/Group-example-lab-KeyHolders1NestedStack-ABCDEFGHIJKL/1")
    template = f"arn:aws:s3:::cdk-hnb659fds-assets-{ACCOUNT}-{REGION}/0123abcd.json"
    actions = "CreateStack UpdateStack DeleteStack DescribeStacks TagResource CreateChangeSet DescribeChangeSet ExecuteChangeSet"
    itself = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"
    return [
        *_calls("cloudformation", actions, stack),
        *_calls("s3", "GetObject", template),
        *_calls("iam", "PassRole", itself, {"iam:PassedToService": "cloudformation.amazonaws.com"}),
    ]


def nothing_more(properties: dict[str, Any]) -> list[Call]:
    """What another type's calls make and remove."""
    return []


NEEDS = {
    "AWS::CloudFormation::Stack": nested_stack,
    "AWS::AutoScaling::AutoScalingGroup": scaling,
    "AWS::Backup::BackupPlan": plan,
    "AWS::Backup::BackupSelection": nothing_more,
    "AWS::Backup::BackupVault": vault,
    "AWS::CloudWatch::Alarm": alarm,
    "AWS::CloudWatch::Dashboard": dashboard,
    "AWS::CloudFormation::WaitConditionHandle": nothing_more,
    "AWS::EC2::EIP": _network("elastic-ip", "AllocateAddress", "ReleaseAddress"),
    "AWS::EC2::InternetGateway": _network(
        "internet-gateway", "CreateInternetGateway", "AttachInternetGateway DeleteInternetGateway"
    ),
    "AWS::EC2::LaunchTemplate": _network(
        "launch-template", "CreateLaunchTemplate", "CreateLaunchTemplateVersion DeleteLaunchTemplate"
    ),
    "AWS::EC2::Route": _network("route-table", "", "CreateRoute ReplaceRoute DeleteRoute"),
    "AWS::EC2::RouteTable": _network("route-table", "CreateRouteTable", "DeleteRouteTable"),
    "AWS::EC2::SecurityGroup": _network(
        "security-group", "CreateSecurityGroup", "AuthorizeSecurityGroupIngress DeleteSecurityGroup"
    ),
    "AWS::EC2::Subnet": _network("subnet", "CreateSubnet", "ModifySubnetAttribute DeleteSubnet"),
    "AWS::EC2::SubnetRouteTableAssociation": _network("route-table", "", "AssociateRouteTable DisassociateRouteTable"),
    "AWS::EC2::VPC": _network("vpc", "CreateVpc", "ModifyVpcAttribute DeleteVpc"),
    "AWS::EC2::VPCGatewayAttachment": nothing_more,
    "AWS::EC2::Volume": volume,
    "AWS::IAM::AccessKey": nothing_more,
    "AWS::IAM::Group": group,
    "AWS::IAM::InstanceProfile": profile,
    "AWS::IAM::ManagedPolicy": managed_policy,
    "AWS::IAM::Role": role,
    "AWS::IAM::User": user,
    "AWS::KMS::Alias": nothing_more,
    "AWS::KMS::Key": key,
    "AWS::Logs::LogGroup": log_group,
    "AWS::S3::Bucket": bucket,
    "AWS::S3::BucketPolicy": nothing_more,
    "AWS::SNS::Subscription": nothing_more,
    "AWS::SNS::Topic": topic,
    "AWS::SNS::TopicPolicy": nothing_more,
    "AWS::SecretsManager::Secret": secret,
}
