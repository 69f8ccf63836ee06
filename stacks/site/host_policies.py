"""Rights of the host's two roles, as plain data: the worker deploys, the web process acts for members and can do no more.

Every statement stands here once: the embedded AWS gives its control plane's user the worker's own, and the boundary of the host's
roles (`stacks.bootstrap`) is made from the same.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from stacks import names
from stacks.site.settings import HOST_STACK, LOG_GROUP, SETTINGS_SECRET, Site

Statement = dict[str, Any]
Document = dict[str, Any]

# The stacks of groups and of analyses: the site's own are the platform engineer's to deploy.
WORKERS_STACKS = ("Group-*", "Cohort-Storage*")
KINDS = ("user", "group", "role", "policy")
# By their beginnings, since the host's boundary has little room: all of these only look.
SEE_STACKS = tuple(
    f"cloudformation:{action}" for action in ("Describe*", "DetectStack*", "GetStackPolicy", "GetTemplate", "ListStackResources")
)
SEE_ACCOUNT = (
    *("cloudformation:BatchDescribeTypeConfigurations", "cloudformation:DescribeAccountLimits"),
    *("cloudformation:DescribeStackDrift*", "cloudformation:ListStacks", "iam:GetAccountSummary"),
    # What lies under our names and nobody knows, as after a restore (`control_plane.access.review.unmanaged`).
    *("iam:ListGroups", "iam:ListRoles", "iam:ListUsers", "secretsmanager:ListSecrets"),
)
REPAIR_STACKS = tuple(
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
# Buckets that groups can reach, where nothing else is said (see `Site.bucket_patterns`).
DEFAULT_PATTERNS = ("cohort-*",)
# Lists with versions and unfinished uploads too, and deletes those; and the bucket of a retired analysis, once it is empty.
END_RETIRED = ("s3:Abort*", "s3:DeleteBucket", "s3:DeleteObject*", "s3:ListBucket*", "s3:*ObjectTagging")
# Inline policies of groups' principals, which all lie within the boundary, and keys that are to work no more: those that people
# brought along from the predecessor are removed, since CloudFormation does not know of them.
# Of groups, roles and users these patterns name the inline policies alone; there is little room in the host's boundary.
SHUT_OUT = ("iam:Delete*Policy", "iam:DeleteAccessKey", "iam:Put*Policy", "iam:UpdateAccessKey")
# All that CloudFormation reads of a bucket when it looks for drift, used by us or not (registry, AWS::S3::Bucket, read handler),
# save that it lists: whoever may see every bucket's settings is not to see what lies in them.
READ_BUCKETS = ("s3:Get*Configuration", "s3:GetBucket*", "s3:ListTagsForResource")
# A principal that no stack holds, and an administrator decided to remove (`control_plane.access.review.unmanaged_removal`).
REMOVE_STRAYS = (
    *("iam:DeleteGroup", "iam:DeleteLoginProfile", "iam:DeleteRole", "iam:DeleteUser", "iam:Detach*Policy"),
    "iam:RemoveUserFromGroup",
)
METRICS_NAMESPACE = "Cohort"
BACKUP_KEY_ALIAS = "alias/cohort-backups"
OURS = {"StringEquals": {"aws:ResourceTag/project": names.PROJECT}}


def worker_policy(site: Site) -> Document:
    """Return the policy of the worker and the host: deploy by CDK's roles, see and repair our stacks, use the site's buckets."""
    ours = control_plane_statements(site.account, site.region, site.bucket_patterns)
    return _document([*ours, *host_statements(site.account, site.region)])


def web_policy(site: Site) -> Document:
    """Return the policy of the web process: act for members. No CloudFormation, no IAM, no role other than the groups'."""
    return _document(member_statements(site.account, site.region))


def member_statements(account: str, region: str) -> list[Statement]:
    """Allow to act for members: a session of their group's role, and reading their key to show it."""
    return [
        allow("ActForMembers", "sts:AssumeRole", _global_arn(region, "iam", account, "role/cohort/*")),
        allow(
            "ReadMembersKeys",
            "secretsmanager:GetSecretValue",
            _any_region_arn(region, "secretsmanager", account, "secret:cohort/*"),
        ),
    ]


def control_plane_statements(account: str, region: str, patterns: Sequence[str] = DEFAULT_PATTERNS) -> list[Statement]:
    """Return what the control plane needs wherever it runs.

    The roles that deploy, our stacks and reading what they hold, and the data of retired groups in the buckets of these names.
    """
    stacks = [_any_region_arn(region, "cloudformation", account, f"stack/{name}/*") for name in WORKERS_STACKS]
    principals = [_global_arn(region, "iam", account, f"{kind}/cohort/*") for kind in KINDS]
    return [
        # Our own role that deploys, since CDK's may change any stack of the account; and CDK's, which stores a template that is too
        # large to be sent. Not the one that looks things up: it may read the whole account.
        allow(
            "DeployThroughCdk",
            "sts:AssumeRole",
            [names.deploy_role_arn(account, region), names.cdk_role_arn(account, region, "file-publishing-role")],
        ),
        *member_statements(account, region),
        allow("SeeStacks", SEE_STACKS, _any_region_arn(region, "cloudformation", account, "stack/*")),
        # These name no resource that they could be bound to (Service Authorization Reference, CloudFormation and IAM).
        allow("SeeDriftDetectionsUsersAndQuotas", SEE_ACCOUNT, "*"),
        allow("MendOurStacks", REPAIR_STACKS, stacks),
        # Drift detection reads what it compares as whoever asks for it (CloudFormation user guide, "Detecting drift").
        # The same rights tell how old members' keys are (ListAccessKeys) and last used when (GetAccessKeyLastUsed).
        allow("SeeWhatStacksHold", ["iam:Get*", "iam:List*"], [*principals, names.boundary_arn(account, region)]),
        # Whoever is suspended or removed is shut out before CloudFormation gets there (`deployments.lockout`).
        allow("ShutOutAtOnce", SHUT_OUT, principals[:3]),
        allow("RemoveStrays", REMOVE_STRAYS, principals[:3]),
        allow(
            "SecretsWithoutValues",
            ["secretsmanager:DeleteSecret", "secretsmanager:DescribeSecret"],
            _any_region_arn(region, "secretsmanager", account, "secret:cohort/*"),
        ),
        allow("SeeBuckets", READ_BUCKETS, f"arn:{names.partition(region)}:s3:::*"),
        *retirement_statements(account, region, patterns),
        allow(
            "SeeBootstrap", "ssm:GetParameter", _regional_arn(region, "ssm", account, f"parameter{names.cdk_version_parameter()}")
        ),
    ]


def retirement_statements(account: str, region: str, patterns: Sequence[str]) -> list[Statement]:
    """Allow the end of what is retired: count, archive-tag or delete a group's data; empty and delete an analysis's bucket.

    The objects themselves cannot be read or written. The patterns may take the site's own buckets in, which are denied.
    """
    buckets = [_bucket_arn(region, pattern) for pattern in sorted(patterns)]
    # An asterisk at the end stands for the slash and what follows it too.
    objects = [f"{bucket}/*" for bucket in buckets if not bucket.endswith("*")]
    own = [f"{_bucket_arn(region, prefix)}*" for prefix in (*names.OWN_BUCKET_PREFIXES, "cdk-")]
    return [
        allow("EndRetired", END_RETIRED, [*buckets, *objects]),
        allow("NeverOurOwn", "s3:Delete*", own) | {"Effect": "Deny"},
    ]


def host_statements(account: str, region: str) -> list[Statement]:
    """Return what the host needs besides: its buckets, settings, volume, address and logs, and the web process's session."""
    state, backups = (_bucket_arn(region, bucket) for bucket in names.own_buckets(account, region))
    return [
        allow("BecomeWeb", "sts:AssumeRole", _global_arn(region, "iam", account, "role/cohort-host/cohort-web")),
        allow(
            "Settings",
            "secretsmanager:GetSecretValue",
            _regional_arn(region, "secretsmanager", account, f"secret:{SETTINGS_SECRET}-*"),
        ),
        allow("Buckets", ["s3:GetBucketLocation", "s3:ListBucket"], [state, backups]),
        # No right to delete: what was published or backed up stays, whoever took the host over.
        allow("Objects", ["s3:GetObject", "s3:PutObject"], [f"{state}/manifests/*", f"{backups}/database/*"]),
        allow("BackupKey", ["kms:Decrypt", "kms:GenerateDataKey"], _regional_arn(region, "kms", account, "key/*"))
        | {"Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": BACKUP_KEY_ALIAS}}},
        allow("Application", "s3:GetObject", f"{_bucket_arn(region, names.cdk_assets(account, region))}/*"),
        allow("SeeVolume", "ec2:DescribeVolumes", "*"),
        allow(
            "VolumeAndAddress",
            ["ec2:AssociateAddress", "ec2:AttachVolume"],
            # Each is asked of its own kinds alone: an address, an instance and its interface; a volume and an instance.
            _regional_arn(region, "ec2", account, "*"),
        )
        | {"Condition": OURS},
        allow("Signal", "cloudformation:SignalResource", _regional_arn(region, "cloudformation", account, f"stack/{HOST_STACK}/*")),
        allow(
            "Logs",
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            _regional_arn(region, "logs", account, f"log-group:{LOG_GROUP}:*"),
        ),
        allow("Metrics", "cloudwatch:PutMetricData", "*")
        | {"Condition": {"StringEquals": {"cloudwatch:namespace": METRICS_NAMESPACE}}},
        # The agent's channels have no names before they are opened.
        allow("SessionManager", SESSION_MANAGER, "*"),
    ]


def allow(sid: str, actions: str | Iterable[str], resources: str | Iterable[str]) -> Statement:
    """Return a statement that allows these actions on these resources."""
    return {"Sid": sid, "Effect": "Allow", "Action": _one_or_list(actions), "Resource": _one_or_list(resources)}


def _document(statements: list[Statement]) -> Document:
    return {"Version": "2012-10-17", "Statement": statements}


def _one_or_list(words: str | Iterable[str]) -> str | list[str]:
    return words if isinstance(words, str) else list(words)


def _global_arn(region: str, service: str, account: str, rest: str) -> str:
    """Return the ARN of a resource of a global service."""
    return f"arn:{names.partition(region)}:{service}::{account}:{rest}"


def _regional_arn(region: str, service: str, account: str, rest: str) -> str:
    return f"arn:{names.partition(region)}:{service}:{region}:{account}:{rest}"


def _any_region_arn(region: str, service: str, account: str, rest: str) -> str:
    """Return an ARN pattern for every region: groups stay in the region that they were made in."""
    return f"arn:{names.partition(region)}:{service}:*:{account}:{rest}"


def _bucket_arn(region: str, bucket: str) -> str:
    return f"arn:{names.partition(region)}:s3:::{bucket}"
