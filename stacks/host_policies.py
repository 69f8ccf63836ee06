"""What the host's two roles may do, as plain data: the worker deploys, the web process acts for members and can do no more.

Every statement stands here once: the embedded AWS gives its control plane's user the worker's own, and the boundary of the host's
roles (`stacks.bootstrap`) is made from the same.
"""

from collections.abc import Iterable
from typing import Any

from stacks import names
from stacks.site import HOST_STACK, LOG_GROUP, SETTINGS_SECRET, Site

Statement = dict[str, Any]
Document = dict[str, Any]

OUR_STACKS = ("Group-*", "Cohort-*")
KINDS = ("user", "group", "role", "policy")
SEE_STACKS = tuple(
    f"cloudformation:{action}"
    for action in (
        "DescribeStacks",
        "DescribeStackEvents",
        "DescribeStackResources",
        "DescribeStackResource",
        "DescribeStackResourceDrifts",
        "DetectStackDrift",
        "DetectStackResourceDrift",
        "GetTemplate",
    )
)
MEND_STACKS = tuple(
    f"cloudformation:{action}" for action in ("CancelUpdateStack", "ContinueUpdateRollback", "DeleteStack", "RollbackStack")
)
# What Session Manager's agent needs of AmazonSSMManagedInstanceCore (its user guide, "Add Session Manager permissions").
# AWS's own policy lets the machine read every parameter of the account besides.
SESSION_MANAGER = (
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
METRICS_NAMESPACE = "Cohort"
BACKUP_KEY_ALIAS = "alias/cohort-backups"
OURS = {"StringEquals": {"aws:ResourceTag/project": names.PROJECT}}


def worker_policy(site: Site) -> Document:
    """What the worker may do, and the host itself: deploy through CDK's roles, see and mend our stacks, use its own buckets."""
    return _document([*control_plane_statements(site.account, site.region), *host_statements(site.account, site.region)])


def web_policy(site: Site) -> Document:
    """What the web process may do: act for members. It has no CloudFormation, no IAM, and no other role than the groups'."""
    return _document(member_statements(site.account, site.region))


def member_statements(account: str, region: str) -> list[Statement]:
    """Acting for members: a session of their group's role, and showing them their key."""
    return [
        allow("ActForMembers", "sts:AssumeRole", _arn(region, "iam", account, "role/cohort/*")),
        allow(
            "ReadMembersKeys", "secretsmanager:GetSecretValue", _everywhere(region, "secretsmanager", account, "secret:cohort/*")
        ),
    ]


def control_plane_statements(account: str, region: str) -> list[Statement]:
    """What deploying needs wherever the control plane runs: CDK's own roles, our stacks, and a look at what they hold."""
    stacks = [_everywhere(region, "cloudformation", account, f"stack/{name}/*") for name in OUR_STACKS]
    principals = [_arn(region, "iam", account, f"{kind}/cohort/*") for kind in KINDS]
    return [
        allow("DeployThroughCdk", "sts:AssumeRole", _arn(region, "iam", account, "role/cdk-*")),
        *member_statements(account, region),
        allow("SeeStacks", SEE_STACKS, _everywhere(region, "cloudformation", account, "stack/*")),
        # These name no resource that they could be bound to (Service Authorization Reference, CloudFormation and IAM).
        allow("SeeDriftDetectionsAndUsers", ["cloudformation:DescribeStackDriftDetectionStatus", "iam:ListUsers"], "*"),
        allow("MendOurStacks", MEND_STACKS, stacks),
        # Drift detection reads what it compares as whoever asks for it (CloudFormation user guide, "Detecting drift").
        allow("SeeWhatStacksHold", ["iam:Get*", "iam:List*"], [*principals, names.boundary_arn(account, region)]),
        allow(
            "SeeSecretsWithoutValues",
            "secretsmanager:DescribeSecret",
            _everywhere(region, "secretsmanager", account, "secret:cohort/*"),
        ),
        allow(
            "SeeBuckets",
            ["s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration"],
            f"arn:{names.partition(region)}:s3:::*",
        ),
        allow("SeeBootstrap", "ssm:GetParameter", _everywhere(region, "ssm", account, "parameter/cdk-bootstrap/*")),
    ]


def host_statements(account: str, region: str) -> list[Statement]:
    """What the host needs besides: its own buckets, settings, volume, address and logs, and the web process's session."""
    state, backups = (_bucket(region, bucket) for bucket in names.own_buckets(account, region))
    return [
        allow("BecomeWeb", "sts:AssumeRole", _arn(region, "iam", account, "role/cohort-host/cohort-web")),
        allow("Settings", "secretsmanager:GetSecretValue", _here(region, "secretsmanager", account, f"secret:{SETTINGS_SECRET}-*")),
        allow("Buckets", ["s3:GetBucketLocation", "s3:ListBucket"], [state, backups]),
        # No right to delete: what was published or backed up stays, whoever took the host over.
        allow("Objects", ["s3:GetObject", "s3:PutObject"], [f"{state}/manifests/*", f"{backups}/database/*"]),
        allow("BackupKey", ["kms:Decrypt", "kms:GenerateDataKey"], _here(region, "kms", account, "key/*"))
        | {"Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": BACKUP_KEY_ALIAS}}},
        allow("Application", "s3:GetObject", f"{_bucket(region, f'cdk-*-assets-{account}-{region}')}/*"),
        allow("SeeVolume", "ec2:DescribeVolumes", "*"),
        allow(
            "VolumeAndAddress",
            ["ec2:AssociateAddress", "ec2:AttachVolume"],
            [_here(region, "ec2", account, f"{kind}/*") for kind in ("elastic-ip", "instance", "network-interface", "volume")],
        )
        | {"Condition": OURS},
        allow("Signal", "cloudformation:SignalResource", _here(region, "cloudformation", account, f"stack/{HOST_STACK}/*")),
        allow(
            "Logs",
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            _here(region, "logs", account, f"log-group:{LOG_GROUP}:*"),
        ),
        allow("Metrics", "cloudwatch:PutMetricData", "*")
        | {"Condition": {"StringEquals": {"cloudwatch:namespace": METRICS_NAMESPACE}}},
        # The agent's channels have no names before they are opened.
        allow("SessionManager", SESSION_MANAGER, "*"),
    ]


def allow(sid: str, actions: str | Iterable[str], resources: str | Iterable[str]) -> Statement:
    """A statement that allows."""
    return {"Sid": sid, "Effect": "Allow", "Action": _one_or_list(actions), "Resource": _one_or_list(resources)}


def _document(statements: list[Statement]) -> Document:
    return {"Version": "2012-10-17", "Statement": statements}


def _one_or_list(words: str | Iterable[str]) -> str | list[str]:
    return words if isinstance(words, str) else list(words)


def _arn(region: str, service: str, account: str, rest: str) -> str:
    """Of a global service."""
    return f"arn:{names.partition(region)}:{service}::{account}:{rest}"


def _here(region: str, service: str, account: str, rest: str) -> str:
    return f"arn:{names.partition(region)}:{service}:{region}:{account}:{rest}"


def _everywhere(region: str, service: str, account: str, rest: str) -> str:
    """In every region: groups stay in the region that they were made in."""
    return f"arn:{names.partition(region)}:{service}:*:{account}:{rest}"


def _bucket(region: str, bucket: str) -> str:
    return f"arn:{names.partition(region)}:s3:::{bucket}"
