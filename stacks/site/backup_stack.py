"""The stack of everything that outlives the host: data volume, address, settings, logs, published manifests and backups.

The host itself is a stack of its own, which may fail, be destroyed and be deployed again without a loss.
"""

from typing import Any, cast

from aws_cdk import CfnOutput, CfnTag, Duration, Environment, Stack
from aws_cdk import aws_backup as backup
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from stacks import _acknowledged
from stacks._retention import retain, retain_always, retain_bucket
from stacks._tagging import add_tags
from stacks.site.settings import BACKUP_STACK, HOST_PATH, LOG_GROUP, SETTINGS_SECRET, VAULT, Site
from stacks.site.snapshot_policy import BACKUP_TAG, BACKUP_TAG_VALUE, ec2_arn, snapshot_policy

KEY_ALIAS = "alias/cohort-backups"
SHORTEST_SNAPSHOT_DAYS = 7
START_MINUTES, COMPLETION_MINUTES = 60, 300
OLD_MANIFEST_DAYS = 365
REMOVED_BACKUP_DAYS = 30
ABANDONED_UPLOAD_DAYS = 7
SECRET_KEY_CHARACTERS = 64


class BackupStack(Stack):
    """Resources that must not be lost, from the site's settings alone. `cdk destroy` keeps every one that holds data."""

    def __init__(self, scope: Construct, site: Site) -> None:
        super().__init__(
            scope,
            BACKUP_STACK,
            env=Environment(account=site.account, region=site.region),
            description="What outlives the host of Cohort: data, settings, logs, manifests and backups",
        )
        add_tags(self, site.tags)
        key = kms.Key(
            self,
            "Key",
            alias=KEY_ALIAS,
            description="Encrypts the backups of Cohort",
            enable_key_rotation=True,
        )
        # Otherwise KMS makes it only for whoever may change its policy later, which CloudFormation may not (`_execution_backups`).
        cast("kms.CfnKey", key.node.default_child).bypass_policy_lockout_safety_check = True
        retain_always(key)
        # The host's right to the key is bound to its alias: a key that is kept without it could not be used.
        retain(key.node.find_child("Alias"))
        state = _bucket(self, "State", name=site.state_bucket, rules=[_old_manifests()])
        backups = _bucket(
            self,
            "Backups",
            name=site.backup_bucket,
            rules=[_old_backups(site)],
            encryption_key=key,
            bucket_key_enabled=True,
            object_lock_default_retention=s3.ObjectLockRetention.governance(Duration.days(site.retention.database_lock)),
        )
        self.data_volume_id = _data_volume(self, site)
        SnapshotPlan(self, "Snapshots", site=site, key_arn=key.key_arn)
        self.settings_secret_arn = _settings_secret(self)
        _log_group(self, site)
        # A load balancer has names of its own; a certificate on the host needs an address that DNS can name beforehand.
        self.address_id = _address(self) if site.tls == "certbot" else ""
        CfnOutput(self, "StateBucket", value=state.bucket_name, description="Published manifests")
        CfnOutput(self, "BackupBucket", value=backups.bucket_name, description="Database backups")


class SnapshotPlan(Construct):
    """A locked vault, and the daily and monthly snapshots of every volume that carries our tag."""

    def __init__(self, scope: Construct, construct_id: str, *, site: Site, key_arn: str) -> None:
        super().__init__(scope, construct_id)
        retention = site.retention
        vault = backup.CfnBackupVault(
            self,
            "Vault",
            backup_vault_name=VAULT,
            encryption_key_arn=key_arn,
            lock_configuration=backup.CfnBackupVault.LockConfigurationTypeProperty(
                min_retention_days=SHORTEST_SNAPSHOT_DAYS,
                max_retention_days=max(retention.daily, retention.monthly),
                changeable_for_days=retention.vault_lock_after or None,
            ),
        )
        retain(vault)
        plan = backup.CfnBackupPlan(
            self,
            "Plan",
            backup_plan=backup.CfnBackupPlan.BackupPlanResourceTypeProperty(
                backup_plan_name="cohort",
                backup_plan_rule=[
                    _rule("daily", vault.ref, schedule="cron(30 5 * * ? *)", days=retention.daily),
                    _rule("monthly", vault.ref, schedule="cron(30 6 1 * ? *)", days=retention.monthly),
                ],
            ),
        )
        role = _snapshot_role(self, site, vault_arn=vault.attr_backup_vault_arn, key_arn=key_arn)
        backup.CfnBackupSelection(
            self,
            "Selection",
            backup_plan_id=plan.ref,
            backup_selection=backup.CfnBackupSelection.BackupSelectionResourceTypeProperty(
                selection_name="data-volume",
                iam_role_arn=role.attr_arn,
                resources=[ec2_arn(site, f"{site.account}:volume/*")],
                conditions={
                    "StringEquals": [{"ConditionKey": f"aws:ResourceTag/{BACKUP_TAG}", "ConditionValue": BACKUP_TAG_VALUE}]
                },
            ),
        )


def _snapshot_role(scope: Construct, site: Site, *, vault_arn: str, key_arn: str) -> iam.CfnRole:
    role = iam.CfnRole(
        scope,
        "Role",
        role_name="cohort-backup",
        path=HOST_PATH,
        description="AWS Backup, when it takes snapshots of Cohort's data volume",
        permissions_boundary=site.boundary_arn,
        assume_role_policy_document={
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "backup.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                    "Condition": {"StringEquals": {"aws:SourceAccount": site.account}},
                }
            ],
        },
        policies=[
            iam.CfnRole.PolicyProperty(
                policy_name="snapshots", policy_document=snapshot_policy(site, vault_arn=vault_arn, key_arn=key_arn)
            )
        ],
    )
    _acknowledged.acknowledge_wildcards(role, ("*", ec2_arn(site, ":snapshot/*"), ec2_arn(site, f"{site.account}:volume/*")))
    return role


def _rule(name: str, vault: str, *, schedule: str, days: int) -> backup.CfnBackupPlan.BackupRuleResourceTypeProperty:
    return backup.CfnBackupPlan.BackupRuleResourceTypeProperty(
        rule_name=name,
        target_backup_vault=vault,
        schedule_expression=schedule,
        start_window_minutes=START_MINUTES,
        completion_window_minutes=COMPLETION_MINUTES,
        lifecycle=backup.CfnBackupPlan.LifecycleResourceTypeProperty(delete_after_days=days),
    )


def _bucket(scope: Construct, construct_id: str, *, name: str, rules: list[s3.LifecycleRule], **more: Any) -> s3.Bucket:
    """Add a private, versioned bucket that speaks TLS alone and is kept whatever happens to its stack."""
    bucket = s3.Bucket(
        scope,
        construct_id,
        bucket_name=name,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        encryption=s3.BucketEncryption.KMS if "encryption_key" in more else s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        versioned=True,
        lifecycle_rules=rules,
        **more,
    )
    retain_bucket(bucket)
    _acknowledged.acknowledge_own_access_logs(bucket)
    return bucket


def _old_manifests() -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id="old-manifests",
        noncurrent_version_expiration=Duration.days(OLD_MANIFEST_DAYS),
        abort_incomplete_multipart_upload_after=Duration.days(ABANDONED_UPLOAD_DAYS),
    )


def _old_backups(site: Site) -> s3.LifecycleRule:
    retention = site.retention
    return s3.LifecycleRule(
        id="old-backups",
        transitions=[
            s3.Transition(
                storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL, transition_after=Duration.days(retention.database_colder)
            )
        ],
        expiration=Duration.days(retention.database),
        noncurrent_version_expiration=Duration.days(REMOVED_BACKUP_DAYS),
        abort_incomplete_multipart_upload_after=Duration.days(ABANDONED_UPLOAD_DAYS),
    )


def _data_volume(scope: Construct, site: Site) -> str:
    volume = ec2.CfnVolume(
        scope,
        # EC2 refuses to change what a volume was made from, so another snapshot is another resource; the old volume is kept.
        f"DataVolume{site.data_snapshot.removeprefix('snap-')}",
        availability_zone=site.zones[0],
        size=site.data_volume_gib,
        volume_type="gp3",
        encrypted=True,
        snapshot_id=site.data_snapshot or None,
        tags=[CfnTag(key="Name", value="cohort-data"), CfnTag(key=BACKUP_TAG, value=BACKUP_TAG_VALUE)],
    )
    _acknowledged.acknowledge_zone(volume)
    retain_always(volume)
    CfnOutput(scope, "DataVolumeId", value=volume.ref, description="The volume of /var/lib/cohort")
    return volume.ref


def _settings_secret(scope: Construct) -> str:
    """Add the settings' secret: Secrets Manager generates Django's signing key, a platform engineer adds the other secrets."""
    secret = secretsmanager.CfnSecret(
        scope,
        "Settings",
        name=SETTINGS_SECRET,
        description="Secret settings of Cohort's host, as JSON: SECRET_KEY, EMAIL_URL and others",
        generate_secret_string=secretsmanager.CfnSecret.GenerateSecretStringProperty(
            secret_string_template="{}",  # noqa: S106 - where the drawn key is put in
            generate_string_key="SECRET_KEY",
            password_length=SECRET_KEY_CHARACTERS,
            exclude_punctuation=True,
        ),
    )
    retain(secret)
    _acknowledged.acknowledge_settings(secret)
    return secret.ref


def _log_group(scope: Construct, site: Site) -> None:
    group = logs.CfnLogGroup(scope, "Logs", log_group_name=LOG_GROUP, retention_in_days=site.retention.logs)
    retain(group)


def _address(scope: Construct) -> str:
    address = ec2.CfnEIP(scope, "Address", domain="vpc", tags=[CfnTag(key="Name", value="cohort")])
    CfnOutput(scope, "HostAddress", value=address.ref, description="Where the site's DNS name (record A) leads")
    return address.attr_allocation_id
