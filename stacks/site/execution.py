"""CloudFormation's rights on Cohort's stacks, as plain data: the policies of CDK's execution role.

Whoever may deploy (the worker) can hand CloudFormation any template, so these bound a malicious template. An IAM principal is
made only under `/cohort/` or `/cohort-host/` and only within the boundary that belongs there; the boundaries, these policies and
CDK's own roles cannot be changed; nothing reads or removes an object, a backup or a key, save the templates that CDK uploads for
nested stacks. `Cohort-Bootstrap` holds them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from stacks import names
from stacks.site._arns import Arns
from stacks.site._execution_backups import backup_statements
from stacks.site.host_policies import OURS, READ_BUCKETS, Document, Statement, allow

ASKED_AS_OURS = {"StringEquals": {"aws:RequestTag/project": names.PROJECT}}
# Actions that name whose boundary is meant (Service Authorization Reference, IAM: condition key iam:PermissionsBoundary).
BOUND = ("Attach{}Policy", "Create{}", "Delete{}Policy", "Detach{}Policy", "Put{}PermissionsBoundary", "Put{}Policy")
# Which service-linked roles the host's resources bring along.
LINKED = ("autoscaling", "backup", "elasticloadbalancing")
INSTANCE_TYPES = "t4g.*"
TO_CLOUDFORMATION = {"iam:PassedToService": "cloudformation.amazonaws.com"}
# A bucket's settings, and never an object. S3 deletes no bucket that holds anything, old versions included (API reference,
# DeleteBucket), so that a creation can be taken back and nothing be lost by it.
SET_BUCKET = (
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:ListBucket",
    "s3:PutBucketCORS",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:TagResource",
    "s3:UntagResource",
)
SECRET = (
    *("CreateSecret", "DeleteSecret", "DescribeSecret", "GetSecretValue", "PutSecretValue", "TagResource", "UntagResource"),
    "UpdateSecret",
)
MAKE_NETWORK = (
    "AllocateAddress",
    "CreateInternetGateway",
    "CreateLaunchTemplate",
    "CreateRouteTable",
    "CreateSecurityGroup",
    "CreateSubnet",
    "CreateVolume",
    "CreateVpc",
)
# All of these act on what exists, and so only on what carries our tag. The address alone is ever given back or led elsewhere.
CHANGE_NETWORK = (
    "AssociateAddress",
    "AssociateRouteTable",
    "AttachInternetGateway",
    "AuthorizeSecurityGroup*",
    "CreateLaunchTemplateVersion",
    "CreateRoute",
    "CreateTags",
    "DeleteInternetGateway",
    "DeleteLaunchTemplate*",
    "DeleteRoute",
    "DeleteRouteTable",
    "DeleteSecurityGroup",
    "DeleteSubnet",
    "DeleteTags",
    "DeleteVpc",
    "DetachInternetGateway",
    "DisassociateAddress",
    "DisassociateRouteTable",
    "ModifySubnetAttribute",
    "ModifyVolume*",
    "ModifyVpcAttribute",
    "ReleaseAddress",
    "ReplaceRoute",
    "RevokeSecurityGroup*",
    "UpdateSecurityGroupRuleDescriptions*",
)
TAGGED_WHEN_MADE = (*MAKE_NETWORK, "RunInstances")
# What has no tag of ours and no name. Of a volume besides: that it is like the one that we make.
UNTAGGED = {
    "Null": {"aws:ResourceTag/project": "true", "aws:ResourceTag/Name": "true"},
    "BoolIfExists": {"ec2:Encrypted": "true"},
    "StringEqualsIfExists": {"ec2:VolumeType": "gp3"},
}
# What CloudFormation may do to something that it has just made before it tags it.
FINISH_NETWORK = ("AuthorizeSecurityGroup*", "ModifySubnetAttribute", "ModifyVpcAttribute", "RevokeSecurityGroup*")
TAGGED_AFTERWARDS = ("elastic-ip", "internet-gateway", "route-table", "security-group", "subnet", "volume", "vpc")


def execution_policies(account: str, region: str, patterns: Sequence[str]) -> dict[str, Document]:
    """Return each execution policy by its name: limits and principals, data, network and machine. One would be too large."""
    limits, data, network = names.EXECUTION_NAMES
    own = Arns(account, region)
    return {
        limits: _document([*_denials(own), *_principals(own)]),
        data: _document([*_storage(own, patterns), *_nested(own), *_secrets(own), *backup_statements(own), *_monitoring(own)]),
        network: _document([*_network(own), *_machine(own)]),
    }


def _denials(own: Arns) -> list[Statement]:
    """Deny what no template may do, even if a further policy is attached to CloudFormation's role one day."""
    limits = own.iam(
        *(f"policy/{name}" for name in (names.BOUNDARY_NAME, names.HOST_BOUNDARY_NAME, f"{names.EXECUTION_NAMES[0]}*"))
    )
    backups = own.buckets("cohort-backups-*")
    return [
        _deny("Limits", "iam:*", [*limits, *own.iam("user/cdk-*", "group/cdk-*", "policy/cdk-*")]),
        {"Sid": "CdkRoles", "Effect": "Deny", "NotAction": "iam:PassRole", "Resource": own.iam("role/cdk-*")},
        # CloudFormation makes a nested stack by passing this role on to itself. Beside it the host's roles alone are ever passed.
        {
            "Sid": "PassNoOther",
            "Effect": "Deny",
            "Action": "iam:PassRole",
            "NotResource": [own.role, *own.iam("role/cohort-host/*")],
        },
        _deny("PassToNoOther", "iam:PassRole", own.role) | {"Condition": {"StringNotEquals": TO_CLOUDFORMATION}},
        _deny("Unbound", ["iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary", "sts:AssumeRole*"], "*"),
        # A nested stack's template is read by whoever makes it, which is this role.
        {"Sid": "Cdk", "Effect": "Deny", "NotAction": "s3:GetObject", "Resource": own.buckets("cdk-*")},
        {"Sid": "NoRead", "Effect": "Deny", "Action": "s3:GetObject*", "NotResource": own.templates()},
        _deny("Objects", ["s3:BypassGovernanceRetention", "s3:DeleteObject*", "s3:PutObject*", "s3:ReplicateDelete"], "*"),
        _deny("Backups", ["s3:PutBucketAcl", "s3:PutReplicationConfiguration"], backups),
        _deny(
            "Keys",
            # A key's policy is written once, with the key: a later one could shut everybody out, which is as good as deleting it.
            ["kms:DisableKey*", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:UpdateAlias"],
            "*",
        ),
        _deny(
            "Snapshots",
            [
                # The vault itself may go, since AWS deletes an empty one alone; its lock and its policy, named after it, may not.
                *("backup:DeleteBackupVault?*", "backup:DeleteRecoveryPoint", "backup:PutBackupVaultAccessPolicy"),
                *("backup:UpdateRecoveryPointLifecycle", "ec2:DeleteSnapshot", "ec2:DeleteVolume", "ec2:ModifySnapshotAttribute"),
            ],
            "*",
        ),
    ]


def _principals(own: Arns) -> list[Statement]:
    groups = own.iam("role/cohort/*", "user/cohort/*")
    policies = own.iam("policy/cohort/*")
    host = own.iam("role/cohort-host/*")
    profiles = own.iam("instance-profile/cohort-host/*")
    return [
        _allow_within(
            "Groups", [*_bounded_actions("Role"), *_bounded_actions("User")], groups, own.iam(f"policy/{names.BOUNDARY_NAME}")
        ),
        _allow_within("Host", _bounded_actions("Role"), host, own.iam(f"policy/{names.HOST_BOUNDARY_NAME}")),
        # Nothing of AWS's own, such as AdministratorAccess: what is attached is a policy that a group's stack made.
        _deny("Foreign", [f"iam:Attach{kind}Policy" for kind in ("Group", "Role", "User")], "*")
        | {"Condition": {"ArnNotLike": {"iam:PolicyARN": policies}}},
        allow(
            "Roles",
            [f"iam:{action}" for action in ("DeleteRole", "TagRole", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole*")],
            [*groups[:1], *host],
        ),
        allow(
            "Users",
            [
                f"iam:{action}"
                for action in (
                    *("AddUserToGroup", "AttachGroupPolicy", "CreateAccessKey", "CreateGroup", "CreatePolicy*", "DeleteAccessKey"),
                    *("DeleteGroup", "DeleteGroupPolicy", "DeletePolicy*", "DeleteUser", "DetachGroupPolicy", "PutGroupPolicy"),
                    "RemoveUserFromGroup",
                    *("SetDefaultPolicyVersion", "TagPolicy", "TagUser", "UntagPolicy", "UntagUser", "UpdateAccessKey"),
                )
            ],
            [*groups[1:], *own.iam("group/cohort/*"), *policies],
        ),
        allow("Read", ["iam:Get*", "iam:List*"], [*groups, *own.iam("group/cohort/*"), *policies, *host, *profiles]),
        allow(
            "Profiles",
            [
                f"iam:{action}"
                for action in (
                    *("AddRoleToInstanceProfile", "CreateInstanceProfile", "DeleteInstanceProfile"),
                    *("RemoveRoleFromInstanceProfile", "TagInstanceProfile", "UntagInstanceProfile"),
                )
            ],
            profiles,
        ),
        allow("Pass", "iam:PassRole", host)
        | {"Condition": {"StringEquals": {"iam:PassedToService": [own.service("ec2"), own.service("backup")]}}},
        allow("PassItself", "iam:PassRole", own.role) | {"Condition": {"StringEquals": TO_CLOUDFORMATION}},
        allow("Linked", "iam:CreateServiceLinkedRole", own.iam("role/aws-service-role/*"))
        | {"Condition": {"StringEquals": {"iam:AWSServiceName": [f"{name}.amazonaws.com" for name in LINKED]}}},
    ]


def _storage(own: Arns, patterns: Sequence[str]) -> list[Statement]:
    ours = sorted({*patterns, *names.own_buckets(own.account, own.region)})
    return [allow("Buckets", [*READ_BUCKETS, *SET_BUCKET], own.buckets(*ours))]


def _nested(own: Arns) -> list[Statement]:
    """Allow stacks within groups' stacks, which CloudFormation makes with this same role."""
    return [
        allow("Nested", _prefixed("cloudformation", NESTED), own.regional("cloudformation", "stack/Group-*/*")),
        allow("Templates", "s3:GetObject", own.templates()),
    ]


NESTED = (
    *("CreateChangeSet", "CreateStack", "DeleteChangeSet", "DeleteStack", "Describe*", "ExecuteChangeSet"),
    *("GetStackPolicy", "GetTemplate", "TagResource", "UntagResource", "UpdateStack"),
)


def _secrets(own: Arns) -> list[Statement]:
    everywhere = f"arn:{own.partition}:secretsmanager:*:{own.account}:secret:"
    return [
        allow("Secrets", _prefixed("secretsmanager", SECRET), [f"{everywhere}cohort/*", f"{everywhere}cohort-host/*"]),
        allow("Parameters", ["ssm:GetParameter", "ssm:GetParameters"], _parameters(own)),
    ]


def _parameters(own: Arns) -> list[str]:
    return [
        *own.regional("ssm", f"parameter{names.cdk_version_parameter()}"),
        f"arn:{own.partition}:ssm:*::parameter/aws/service/canonical/*",
    ]


def _network(own: Arns) -> list[Statement]:
    # Each action is asked of its own kinds of resources alone. Snapshots and images are not among them: their ARNs name no account.
    everything = own.regional("ec2", "*")
    kind = "loadbalancer", "targetgroup", "listener"
    balancers = own.regional(
        "elasticloadbalancing", *(f"{name}/{app}cohort/*" for name, app in zip(kind, ("app/", "", "app/"), strict=True))
    )
    return [
        allow("Look", ["autoscaling:Describe*", "ec2:Describe*", "elasticloadbalancing:Describe*"], "*"),
        allow("Make", _prefixed("ec2", MAKE_NETWORK), everything),
        # A restored volume is authorised on its snapshot too, to which AWS Backup gave the tags of the volume that it took.
        allow("Restore", "ec2:CreateVolume", own.ec2_shared("snapshot")) | {"Condition": OURS},
        allow("Change", _prefixed("ec2", CHANGE_NETWORK), everything) | {"Condition": OURS},
        # A tag opens doors (Change, and the worker's own right to attach a volume), so only what is just made or is ours gets one.
        allow("TagNew", "ec2:CreateTags", everything)
        | {"Condition": {"StringEquals": {"ec2:CreateAction": list(TAGGED_WHEN_MADE)}}},
        # Of some types CloudFormation tags what it made in a second call (coverage roadmap, issue 714: security groups).
        allow("TagUntagged", "ec2:CreateTags", own.ec2(*TAGGED_AFTERWARDS)) | {"Condition": {**UNTAGGED, **ASKED_AS_OURS}},
        allow("FinishUntagged", _prefixed("ec2", FINISH_NETWORK), everything) | {"Condition": UNTAGGED},
        allow("Balancer", [f"elasticloadbalancing:{word}*" for word in BALANCER], balancers),
        allow("Certificate", _prefixed("acm", CERTIFICATE), own.regional("acm", "certificate/*")) | {"Condition": OURS},
        allow("NewCertificate", ["acm:AddTagsToCertificate", "acm:RequestCertificate"], "*") | {"Condition": ASKED_AS_OURS},
    ]


BALANCER = ("AddTags", "Create", "Delete", "DeregisterTargets", "Modify", "RegisterTargets", "RemoveTags", "Set")
CERTIFICATE = ("DeleteCertificate", "DescribeCertificate", "ListTagsForCertificate", "RemoveTagsFromCertificate")


def _machine(own: Arns) -> list[Statement]:
    instance = own.regional("ec2", "instance/*")
    parts = own.ec2("launch-template", "network-interface", "security-group", "subnet", "volume")
    return [
        # Auto Scaling asks for these in the name of whoever makes the group (its user guide, "launch template permissions").
        allow("Run", "ec2:RunInstances", instance) | {"Condition": {"StringLike": {"ec2:InstanceType": INSTANCE_TYPES}}},
        allow("RunWith", "ec2:RunInstances", [*parts, own.ec2_shared("image")]),
        allow(
            "Scaling",
            [f"autoscaling:{action}" for action in SCALING],
            own.regional("autoscaling", "autoScalingGroup:*:autoScalingGroupName/cohort-*"),
        ),
    ]


SCALING = (
    *("AttachLoadBalancerTargetGroups", "AttachTrafficSources", "Create*", "DeleteAutoScalingGroup", "DeleteTags"),
    *("DetachLoadBalancerTargetGroups", "DetachTrafficSources", "ResumeProcesses", "SetDesiredCapacity", "SuspendProcesses"),
    *("TerminateInstanceInAutoScalingGroup", "UpdateAutoScalingGroup"),
)


# These name no resource that they could be bound to (Service Authorization Reference), save one of SNS, whose subscriptions have no
# names of ours. Detecting drift asks for the types' configurations (CloudFormation user guide, "Detecting drift").
NO_RESOURCE = (
    *("backup-storage:MountCapsule", "cloudformation:BatchDescribeTypeConfigurations", "cloudwatch:DescribeAlarms"),
    *("kms:ListAliases", "logs:DescribeIndexPolicies", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies"),
    *("logs:GetDataProtectionPolicy", "secretsmanager:GetRandomPassword", "sns:GetSubscriptionAttributes", "sns:Unsubscribe"),
)


def _monitoring(own: Arns) -> list[Statement]:
    dashboards = [f"arn:{own.partition}:cloudwatch::{own.account}:dashboard/cohort*"]
    return [
        allow(
            "Logs",
            _prefixed(
                "logs",
                ("CreateLogGroup", "DeleteLogGroup", "ListTagsForResource", "PutRetentionPolicy", "TagResource", "UntagResource"),
            ),
            own.regional("logs", "log-group:/cohort/*"),
        ),
        allow("Topic", "sns:*", own.regional("sns", "cohort-*")),
        allow(
            "Alarms",
            _prefixed(
                "cloudwatch",
                ("Delete*", "Describe*", "Get*", "List*", "PutDashboard", "PutMetricAlarm", "TagResource", "UntagResource"),
            ),
            [*own.regional("cloudwatch", "alarm:cohort-*"), *dashboards],
        ),
        allow("NoResource", NO_RESOURCE, "*"),
    ]


def _allow_within(sid: str, actions: Iterable[str], resources: list[str], boundary: list[str]) -> Statement:
    return allow(sid, actions, resources) | {"Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}}}


def _bounded_actions(kind: str) -> list[str]:
    return [f"iam:{pattern.format(kind)}" for pattern in BOUND]


def _prefixed(service: str, actions: Iterable[str]) -> list[str]:
    return [f"{service}:{action}" for action in actions]


def _deny(sid: str, actions: str | Iterable[str], resources: str | Iterable[str]) -> Statement:
    return {**allow(sid, actions, resources), "Effect": "Deny"}


def _document(statements: list[dict[str, Any]]) -> Document:
    return {"Version": "2012-10-17", "Statement": statements}
