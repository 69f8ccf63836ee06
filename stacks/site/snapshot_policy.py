"""Rights of AWS Backup on the data volume, as plain data: the boundary of its role is made from the same."""

from typing import Any

from stacks import names
from stacks.site.settings import Site

# The tag by which AWS Backup finds the data volume.
BACKUP_TAG, BACKUP_TAG_VALUE = "backup", "cohort"


def snapshot_policy(site: Site, *, vault_arn: str, key_arn: str) -> dict[str, Any]:
    """Return what AWS Backup needs for our volumes: a part of its own AWSBackupServiceRolePolicyForBackup."""
    snapshots, volumes = ec2_arn(site, ":snapshot/*"), ec2_arn(site, f"{site.account}:volume/*")
    ours = {"StringEquals": {f"aws:ResourceTag/{BACKUP_TAG}": BACKUP_TAG_VALUE}}
    statements: list[dict[str, Any]] = [
        # None of these can be narrowed to a resource (service authorization reference).
        {
            "Sid": "Look",
            "Action": ["ec2:DescribeSnapshots", "ec2:DescribeTags", "ec2:DescribeVolumes", "tag:GetResources"],
            "Resource": "*",
        },
        {"Sid": "TakeFrom", "Action": "ec2:CreateSnapshot", "Resource": volumes, "Condition": ours},
        {"Sid": "Take", "Action": ["ec2:CreateSnapshot", "ec2:CreateTags", "ec2:DeleteSnapshot"], "Resource": snapshots},
        {"Sid": "Vault", "Action": ["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"], "Resource": vault_arn},
        {"Sid": "Key", "Action": "kms:DescribeKey", "Resource": key_arn},
        {
            "Sid": "Grant",
            "Action": "kms:CreateGrant",
            "Resource": key_arn,
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    ]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement} for statement in statements]}


def ec2_arn(site: Site, rest: str) -> str:
    """Return an ARN of EC2 in the site's region."""
    return f"arn:{names.partition(site.region)}:ec2:{site.region}:{rest}"
