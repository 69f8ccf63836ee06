"""The host and the backups, as step 3 of the operations' page deploys them, and what is removed of what they keep.

Only with `--with-host`: a real account takes a quarter of an hour over it, and its locked store stays for a day.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from stacks.names import PROJECT, own_buckets
from stacks.site.host_policies import BACKUP_KEY_ALIAS
from stacks.site.settings import BACKUP_STACK, HOST_STACK, SETTINGS_SECRET, VAULT
from tests.conformance.targets import Target

LOCK_DAYS = 1
# The shortest that KMS allows (API reference, ScheduleKeyDeletion).
KEY_DAYS = 7
TAGGED = [{"Name": "tag:project", "Values": [PROJECT]}]


def locked_until(today: date | None = None) -> date:
    """The day until which the bucket of backups cannot be emptied, if the host wrote a backup today."""
    return (today or datetime.now(UTC).date()) + timedelta(days=LOCK_DAYS + 1)


def stacks() -> tuple[str, str]:
    """The stacks, in the order in which they are deployed."""
    return BACKUP_STACK, HOST_STACK


def buckets(target: Target) -> tuple[str, str]:
    """The buckets that outlive them."""
    return own_buckets(target.account, target.region)


def write_site(target: Target, folder: Path, domain: str) -> Path:
    """A `site.toml` for a host that locks its backups as shortly as can be."""
    settings = {"account": target.account, "region": target.region, "domain": domain, "email": f"platform@{domain}"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    path = folder / "site.toml"
    path.write_text("\n".join([*lines, "", "[retention]", f"database_lock = {LOCK_DAYS}", ""]))
    return path


def remove_kept(target: Target) -> list[str]:
    """Remove what the stacks keep when they are deleted, the buckets aside. Returns what could not be, with the reason."""
    stays = []
    for remove in (_volumes, _addresses, _secret, _logs, _vault, _key):
        try:
            for call in remove(target):
                call()
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("ResourceNotFoundException", "NotFoundException"):
                stays.append(str(error))
    return stays


def _volumes(target: Target) -> Iterator[Callable[[], Any]]:
    ec2 = target.client("ec2")
    for volume in ec2.describe_volumes(Filters=TAGGED)["Volumes"]:
        yield partial(ec2.delete_volume, VolumeId=volume["VolumeId"])


def _addresses(target: Target) -> Iterator[Callable[[], Any]]:
    ec2 = target.client("ec2")
    for address in ec2.describe_addresses(Filters=TAGGED)["Addresses"]:
        yield partial(ec2.release_address, AllocationId=address["AllocationId"])


def _secret(target: Target) -> Iterator[Callable[[], Any]]:
    yield lambda: target.client("secretsmanager").delete_secret(SecretId=SETTINGS_SECRET, ForceDeleteWithoutRecovery=True)


def _logs(target: Target) -> Iterator[Callable[[], Any]]:
    logs = target.client("logs")
    for group in logs.describe_log_groups(logGroupNamePrefix="/cohort/")["logGroups"]:
        yield partial(logs.delete_log_group, logGroupName=group["logGroupName"])


def _vault(target: Target) -> Iterator[Callable[[], Any]]:
    """The vault with its snapshots. An empty one can be deleted though it is locked; else the lock goes first, as it may here."""
    backup = target.client("backup")
    if VAULT not in {vault["BackupVaultName"] for vault in backup.list_backup_vaults()["BackupVaultList"]}:
        return
    points = backup.list_recovery_points_by_backup_vault(BackupVaultName=VAULT)["RecoveryPoints"]
    if points:
        yield lambda: backup.delete_backup_vault_lock_configuration(BackupVaultName=VAULT)
    for point in points:
        yield partial(backup.delete_recovery_point, BackupVaultName=VAULT, RecoveryPointArn=point["RecoveryPointArn"])
    yield lambda: backup.delete_backup_vault(BackupVaultName=VAULT)


def _key(target: Target) -> Iterator[Callable[[], Any]]:
    """The backups' key, which KMS deletes after a week, and its alias."""
    kms = target.client("kms")
    key = kms.describe_key(KeyId=BACKUP_KEY_ALIAS)["KeyMetadata"]["KeyId"]
    yield lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=KEY_DAYS)
    yield lambda: kms.delete_alias(AliasName=BACKUP_KEY_ALIAS)
