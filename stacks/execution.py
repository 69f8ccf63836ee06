"""What CloudFormation itself may do for Cohort's stacks, as plain data: the policies of CDK's execution role.

Whoever may deploy (the worker) can hand CloudFormation any template, so these bound a template that means harm. An IAM principal is
made only under `/cohort/` or `/cohort-host/` and only within the boundary that belongs there; the boundaries, these policies and
CDK's own roles cannot be changed; nothing reads or removes an object, a backup or a key, save the templates that CDK put up for
nested stacks. `Cohort-Bootstrap` holds them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from stacks import names
from stacks.host_policies import BACKUP_KEY_ALIAS, OURS, Document, Statement, allow

ASKED_AS_OURS = {"StringEquals": {"aws:RequestTag/project": names.PROJECT}}
# Actions that name whose boundary is meant (Service Authorization Reference, IAM: condition key iam:PermissionsBoundary).
BOUND = ("Attach{}Policy", "Create{}", "Delete{}Policy", "Detach{}Policy", "Put{}PermissionsBoundary", "Put{}Policy")
# Which service-linked roles the host's resources bring along.
LINKED = ("autoscaling", "backup", "elasticloadbalancing")
INSTANCE_TYPES = "t4g.*"
READ_BUCKET = ("s3:GetAccelerateConfiguration", "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration")
# A bucket's settings, and never an object: CloudFormation makes buckets, and empties or removes none.
SET_BUCKET = (
    "s3:CreateBucket",
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
SECRET = ("CreateSecret", "DescribeSecret", "GetSecretValue", "PutSecretValue", "TagResource", "UntagResource", "UpdateSecret")
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
# All of these act on what exists, and so only on what carries our tag.
CHANGE_NETWORK = (
    "AssociateRouteTable",
    "AttachInternetGateway",
    "AuthorizeSecurityGroup*",
    "CreateLaunchTemplateVersion",
    "CreateRoute",
    "DeleteInternetGateway",
    "DeleteLaunchTemplate*",
    "DeleteRoute",
    "DeleteRouteTable",
    "DeleteSecurityGroup",
    "DeleteSubnet",
    "DeleteTags",
    "DeleteVpc",
    "DetachInternetGateway",
    "DisassociateRouteTable",
    "ModifySubnetAttribute",
    "ModifyVolume*",
    "ModifyVpcAttribute",
    "ReplaceRoute",
    "RevokeSecurityGroup*",
    "UpdateSecurityGroupRuleDescriptions*",
)
TAGGED_WHEN_MADE = (*MAKE_NETWORK, "RunInstances")


def execution_policies(account: str, region: str, patterns: Sequence[str]) -> dict[str, Document]:
    """Each execution policy by its name, as one would not hold them all: limits and principals, data, network and machine."""
    limits, data, network = names.EXECUTION_NAMES
    own = _Names(account, region)
    return {
        limits: _document([*_denials(own), *_principals(own)]),
        data: _document([*_storage(own, patterns), *_nested(own), *_secrets(own), *_keeping(own), *_watching(own)]),
        network: _document([*_network(own), *_machine(own)]),
    }


class _Names:
    """ARNs of one account and region."""

    def __init__(self, account: str, region: str) -> None:
        self.account, self.region, self.partition = account, region, names.partition(region)

    def iam(self, *rest: str) -> list[str]:
        return [f"arn:{self.partition}:iam::{self.account}:{one}" for one in rest]

    def here(self, service: str, *rest: str) -> list[str]:
        return [f"arn:{self.partition}:{service}:{self.region}:{self.account}:{one}" for one in rest]

    def buckets(self, *patterns: str) -> list[str]:
        return [f"arn:{self.partition}:s3:::{pattern}" for pattern in patterns]

    def templates(self) -> list[str]:
        """Where CDK puts the templates of nested stacks."""
        return self.buckets(f"cdk-*-assets-{self.account}-{self.region}/*")

    def service(self, name: str) -> str:
        """A service as it is named to IAM."""
        return f"{name}.amazonaws.com" + (".cn" if self.partition == "aws-cn" and name == "ec2" else "")


def _denials(own: _Names) -> list[Statement]:
    """What no template may do even if a further policy is attached to CloudFormation's role one day."""
    limits = own.iam(
        *(f"policy/{name}" for name in (names.BOUNDARY_NAME, names.HOST_BOUNDARY_NAME, f"{names.EXECUTION_NAMES[0]}*"))
    )
    backups = own.buckets("cohort-backups-*")
    return [
        _deny("Limits", "iam:*", [*limits, *own.iam("role/cdk-*", "user/cdk-*", "group/cdk-*", "policy/cdk-*")]),
        _deny("Unbound", ["iam:DeleteRolePermissionsBoundary", "iam:DeleteUserPermissionsBoundary", "sts:AssumeRole*"], "*"),
        # A nested stack's template is read by whoever makes it, which is this role.
        {"Sid": "Cdk", "Effect": "Deny", "NotAction": "s3:GetObject", "Resource": own.buckets("cdk-*")},
        {"Sid": "NoRead", "Effect": "Deny", "Action": "s3:GetObject*", "NotResource": own.templates()},
        _deny("Objects", ["s3:BypassGovernanceRetention", "s3:DeleteObject*", "s3:PutObject*", "s3:ReplicateDelete"], "*"),
        _deny("Backups", ["s3:DeleteBucket*", "s3:PutBucketAcl", "s3:PutReplicationConfiguration"], backups),
        _deny(
            "Keys",
            # A key's policy is written once, with the key: a later one could shut everybody out, which is as good as deleting it.
            ["kms:DeleteAlias", "kms:DisableKey*", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:UpdateAlias"],
            "*",
        ),
        _deny(
            "Snapshots",
            [
                *("backup:DeleteBackupVault*", "backup:DeleteRecoveryPoint", "backup:PutBackupVaultAccessPolicy"),
                *("backup:UpdateRecoveryPointLifecycle", "ec2:DeleteSnapshot", "ec2:DeleteVolume", "ec2:ModifySnapshotAttribute"),
            ],
            "*",
        ),
    ]


def _principals(own: _Names) -> list[Statement]:
    groups = own.iam("role/cohort/*", "user/cohort/*")
    policies = own.iam("policy/cohort/*")
    host = own.iam("role/cohort-host/*")
    profiles = own.iam("instance-profile/cohort-host/*")
    return [
        _within("Groups", [*_bound("Role"), *_bound("User")], groups, own.iam(f"policy/{names.BOUNDARY_NAME}")),
        _within("Host", _bound("Role"), host, own.iam(f"policy/{names.HOST_BOUNDARY_NAME}")),
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
        allow("Linked", "iam:CreateServiceLinkedRole", own.iam("role/aws-service-role/*"))
        | {"Condition": {"StringEquals": {"iam:AWSServiceName": [f"{name}.amazonaws.com" for name in LINKED]}}},
    ]


def _storage(own: _Names, patterns: Sequence[str]) -> list[Statement]:
    ours = sorted({*patterns, *names.own_buckets(own.account, own.region)})
    return [allow("Buckets", [*READ_BUCKET, *SET_BUCKET], own.buckets(*ours))]


def _nested(own: _Names) -> list[Statement]:
    """Stacks within groups' stacks, which CloudFormation makes by this same role."""
    return [
        allow("Nested", _of("cloudformation", NESTED), own.here("cloudformation", "stack/Group-*/*")),
        allow("Templates", "s3:GetObject", own.templates()),
    ]


NESTED = (
    *("CreateChangeSet", "CreateStack", "DeleteChangeSet", "DeleteStack", "Describe*", "ExecuteChangeSet", "GetTemplate"),
    *("TagResource", "UntagResource", "UpdateStack"),
)


def _secrets(own: _Names) -> list[Statement]:
    everywhere = f"arn:{own.partition}:secretsmanager:*:{own.account}:secret:"
    return [
        allow("Secrets", _of("secretsmanager", SECRET), [f"{everywhere}cohort/*", f"{everywhere}cohort-host/*"]),
        allow("Rotate", "secretsmanager:DeleteSecret", f"{everywhere}cohort/*"),
        allow("Password", "secretsmanager:GetRandomPassword", "*"),
        allow("Parameters", ["ssm:GetParameter", "ssm:GetParameters"], _parameters(own)),
    ]


def _parameters(own: _Names) -> list[str]:
    return [
        f"arn:{own.partition}:ssm:*:{own.account}:parameter/cdk-bootstrap/*",
        f"arn:{own.partition}:ssm:*::parameter/aws/service/canonical/*",
    ]


def _network(own: _Names) -> list[Statement]:
    kinds = (
        "elastic-ip",
        "internet-gateway",
        "launch-template",
        "route-table",
        "security-group",
        "security-group-rule",
        "subnet",
        "volume",
        "vpc",
    )
    resources = own.here("ec2", *(f"{kind}/*" for kind in kinds))
    kind = "loadbalancer", "targetgroup", "listener"
    balancers = own.here(
        "elasticloadbalancing", *(f"{name}/{app}cohort/*" for name, app in zip(kind, ("app/", "", "app/"), strict=True))
    )
    return [
        allow("Look", ["autoscaling:Describe*", "ec2:Describe*", "elasticloadbalancing:Describe*"], "*"),
        allow("Make", _of("ec2", MAKE_NETWORK), resources),
        allow("Change", _of("ec2", CHANGE_NETWORK), resources) | {"Condition": OURS},
        # The address alone is ever given back or led elsewhere; the volume stays.
        allow("Address", _of("ec2", ("AssociateAddress", "DisassociateAddress", "ReleaseAddress")), own.here("ec2", "*"))
        | {"Condition": OURS},
        # A tag opens doors (Change, and the worker's own right to attach a volume), so only what is just made or is ours gets one.
        allow("TagNew", "ec2:CreateTags", own.here("ec2", "*"))
        | {"Condition": {"StringEquals": {"ec2:CreateAction": list(TAGGED_WHEN_MADE)}}},
        allow("TagOurs", "ec2:CreateTags", own.here("ec2", "*")) | {"Condition": OURS},
        allow("Balancer", [f"elasticloadbalancing:{word}*" for word in BALANCER], balancers),
        allow("Certificate", _of("acm", CERTIFICATE), own.here("acm", "certificate/*")) | {"Condition": OURS},
        allow("NewCertificate", ["acm:AddTagsToCertificate", "acm:RequestCertificate"], "*") | {"Condition": ASKED_AS_OURS},
    ]


BALANCER = ("AddTags", "Create", "Delete", "DeregisterTargets", "Modify", "RegisterTargets", "RemoveTags", "Set")
CERTIFICATE = ("DeleteCertificate", "DescribeCertificate", "ListTagsForCertificate", "RemoveTagsFromCertificate")


def _machine(own: _Names) -> list[Statement]:
    instance = own.here("ec2", "instance/*")
    parts = own.here(
        "ec2", *(f"{kind}/*" for kind in ("launch-template", "network-interface", "security-group", "subnet", "volume"))
    )
    return [
        # Auto Scaling asks for these in the name of whoever makes the group (its user guide, "launch template permissions").
        allow("Run", "ec2:RunInstances", instance) | {"Condition": {"StringLike": {"ec2:InstanceType": INSTANCE_TYPES}}},
        allow("RunWith", "ec2:RunInstances", [*parts, f"arn:{own.partition}:ec2:{own.region}::image/*"]),
        allow(
            "Scaling",
            [f"autoscaling:{action}" for action in SCALING],
            own.here("autoscaling", "autoScalingGroup:*:autoScalingGroupName/cohort-*"),
        ),
    ]


SCALING = (
    *("AttachLoadBalancerTargetGroups", "AttachTrafficSources", "Create*", "DeleteAutoScalingGroup", "DeleteTags"),
    *("DetachLoadBalancerTargetGroups", "DetachTrafficSources", "ResumeProcesses", "SetDesiredCapacity", "SuspendProcesses"),
    *("TerminateInstanceInAutoScalingGroup", "UpdateAutoScalingGroup"),
)


def _keeping(own: _Names) -> list[Statement]:
    keys = own.here("kms", "key/*")
    plans = [f"arn:{own.partition}:backup:{own.region}:{own.account}:backup-plan:*", *own.here("backup", "backup-vault:cohort*")]
    return [
        allow("NewKey", ["kms:CreateKey", "kms:TagResource"], "*") | {"Condition": ASKED_AS_OURS},
        allow(
            "Key",
            [
                *("kms:Decrypt", "kms:DescribeKey", "kms:EnableKeyRotation", "kms:GenerateDataKey", "kms:GetKey*"),
                *("kms:ListResourceTags", "kms:RetireGrant", "kms:UpdateKeyDescription"),
            ],
            keys,
        )
        | {"Condition": OURS},
        allow("Grant", "kms:CreateGrant", keys) | {"Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}, **OURS}},
        allow("Alias", "kms:CreateAlias", own.here("kms", BACKUP_KEY_ALIAS)),
        allow("AliasOf", "kms:CreateAlias", keys) | {"Condition": OURS},
        allow("Aliases", ["kms:ListAliases"], "*"),
        allow(
            "Backup",
            [
                *("backup:CreateBackup*", "backup:DeleteBackupPlan", "backup:DeleteBackupSelection", "backup:Describe*"),
                *("backup:Get*", "backup:List*", "backup:PutBackupVaultLockConfiguration", "backup:TagResource"),
                *("backup:UntagResource", "backup:UpdateBackupPlan"),
            ],
            plans,
        ),
        # It has no resource to be bound to, and gives nothing without a vault of ours.
        allow("Mount", "backup-storage:MountCapsule", "*"),
    ]


def _watching(own: _Names) -> list[Statement]:
    dashboards = [f"arn:{own.partition}:cloudwatch::{own.account}:dashboard/cohort*"]
    return [
        allow(
            "Logs",
            _of("logs", ("CreateLogGroup", "ListTagsForResource", "PutRetentionPolicy", "TagResource", "UntagResource")),
            own.here("logs", "log-group:/cohort/*"),
        ),
        allow(
            "LookAtLogs",
            [
                "logs:DescribeIndexPolicies",
                "logs:DescribeLogGroups",
                "logs:DescribeResourcePolicies",
                "logs:GetDataProtectionPolicy",
            ],
            "*",
        ),
        allow("Topic", "sns:*", own.here("sns", "cohort-*")),
        allow(
            "Alarms",
            _of(
                "cloudwatch",
                ("Delete*", "Describe*", "Get*", "List*", "PutDashboard", "PutMetricAlarm", "TagResource", "UntagResource"),
            ),
            [*own.here("cloudwatch", "alarm:cohort-*"), *dashboards],
        ),
        allow("Unsubscribe", ["cloudwatch:DescribeAlarms", "sns:GetSubscriptionAttributes", "sns:Unsubscribe"], "*"),
    ]


def _within(sid: str, actions: Iterable[str], resources: list[str], boundary: list[str]) -> Statement:
    return allow(sid, actions, resources) | {"Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}}}


def _bound(kind: str) -> list[str]:
    return [f"iam:{pattern.format(kind)}" for pattern in BOUND]


def _of(service: str, actions: Iterable[str]) -> list[str]:
    return [f"{service}:{action}" for action in actions]


def _deny(sid: str, actions: str | Iterable[str], resources: str | Iterable[str]) -> Statement:
    return {**allow(sid, actions, resources), "Effect": "Deny"}


def _document(statements: list[dict[str, Any]]) -> Document:
    return {"Version": "2012-10-17", "Statement": statements}
