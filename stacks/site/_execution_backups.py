"""CloudFormation's rights on the backups' key, vault and plan, as plain data: a part of the execution policies."""

from stacks.site._arns import Arns
from stacks.site.host_policies import BACKUP_KEY_ALIAS, OURS, Statement, allow

# A key's tags and aliases may take five minutes to reach authorisation (KMS developer guide, "ABAC for AWS KMS"); CloudFormation
# goes on with a new key at once. So a key that is not somebody else's will do: without an alias that authorisation knows, or with
# ours. ForAllValues holds where there is none. The console gives every key an alias, and AWS's own keys have one.
NOT_THEIRS = {"ForAllValues:StringEquals": {"kms:ResourceAliases": [BACKUP_KEY_ALIAS]}}
FOR_AWS = {"Bool": {"kms:GrantIsForAWSResource": "true"}}
USE_KEY = (
    *("kms:CreateAlias", "kms:Decrypt", "kms:DeleteAlias", "kms:DescribeKey", "kms:EnableKeyRotation", "kms:GenerateDataKey"),
    *("kms:GetKey*", "kms:ListResourceTags", "kms:RetireGrant", "kms:UpdateKeyDescription"),
)


def backup_statements(own: Arns) -> list[Statement]:
    """Allow to make the key, the vault and the plan, and to remove what is empty: AWS deletes no vault that holds a snapshot.

    The key's policy is not among them. KMS makes no key for whoever could not change its policy afterwards, unless asked to (API
    reference, CreateKey, BypassPolicyLockoutSafetyCheck), as our template does: the default policy leaves the key to the account.
    """
    keys = own.regional("kms", "key/*")
    plans = [
        f"arn:{own.partition}:backup:{own.region}:{own.account}:backup-plan:*",
        *own.regional("backup", "backup-vault:cohort*"),
    ]
    asked = {"StringEquals": {"aws:RequestTag/project": OURS["StringEquals"]["aws:ResourceTag/project"]}}
    return [
        allow("NewKey", ["kms:CreateKey", "kms:TagResource"], "*") | {"Condition": {**asked, **NOT_THEIRS}},
        allow("Key", [*USE_KEY, "kms:TagResource", "kms:UntagResource"], keys) | {"Condition": OURS},
        allow("KeyYetUntagged", USE_KEY, keys) | {"Condition": NOT_THEIRS},
        allow("Grant", "kms:CreateGrant", keys) | {"Condition": {**FOR_AWS, **OURS}},
        allow("GrantYetUntagged", "kms:CreateGrant", keys) | {"Condition": {**FOR_AWS, **NOT_THEIRS}},
        allow("Alias", ["kms:CreateAlias", "kms:DeleteAlias"], own.regional("kms", BACKUP_KEY_ALIAS)),
        allow(
            "Backup",
            [
                *("backup:CreateBackup*", "backup:DeleteBackupPlan", "backup:DeleteBackupSelection", "backup:DeleteBackupVault"),
                *("backup:Describe*", "backup:Get*", "backup:List*", "backup:PutBackupVaultLockConfiguration"),
                *("backup:TagResource", "backup:UntagResource", "backup:UpdateBackupPlan"),
            ],
            plans,
        ),
    ]
