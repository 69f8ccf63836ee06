"""Short-lived credentials for one purpose in one folder: a session policy takes away all other rights."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError
from django.utils import timezone

from control_plane.access.groups.errors import BeingMadeReady, NotGranted
from control_plane.access.groups.models import Analysis, Group
from control_plane.access.groups.services.credentials import (
    SESSION_SECONDS,
    Credentials,
    credentials_refused,
    note_use,
    refuse_before_cut_off,
)
from control_plane.base import aws
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.deployments.iam_delay import DENIED, is_settling, until_settled
from control_plane.research.storage.group_folder import GroupFolder
from stacks import names

if TYPE_CHECKING:
    from botocore.model import OperationModel
    from mypy_boto3_s3 import S3Client

# For `web`, which does not import the stacks.
WRITABLE_FOLDERS = names.WRITABLE_FOLDERS
# Cached sessions are replaced this long before their end.
RENEW_BEFORE = timedelta(minutes=10)


class Purpose(StrEnum):
    """Purpose of a session."""

    BROWSE = "browse"
    UPLOAD = "upload"
    DELETE = "delete"
    RESTORE = "restore"


WRITING = (Purpose.UPLOAD, Purpose.DELETE, Purpose.RESTORE)


@dataclass(frozen=True)
class _CachedClient:
    client: "S3Client"
    expires: datetime


_ClientKey = tuple[str, str, Purpose, int, datetime | None]
_clients: dict[_ClientKey, _CachedClient] = {}
# No member's username: those have an `m` first, and no hyphen.
JOBS_SESSION = "cohort-jobs"
# S3 operations that are refused both without a right and without an object.
READS = frozenset({"GetObject", "HeadObject"})
# A client holds about a megabyte.
MAX_CLIENTS = 50
CONNECTIONS = 16


def session_policy(folder: GroupFolder, purpose: Purpose) -> dict[str, Any]:
    """Return the policy of a session for this purpose: never more than the group's own, on this one bucket and folder.

    IAM takes at most 2,048 characters (IAM user guide, "IAM and STS quotas").
    """
    everything = f"{folder.arn}/{folder.prefix}*"
    writable = [f"{folder.arn}/{folder.prefix}{name}/*" for name in WRITABLE_FOLDERS]
    match purpose:
        case Purpose.BROWSE:
            statements = [_list(folder), _allow(["s3:GetObject", "s3:GetObjectVersion"], everything)]
        case Purpose.UPLOAD:
            write = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:GetObject"]
            # To list, because S3 tells only then of a file that is not there (see `presence`).
            statements = [_list_folders(folder.arn, folder.prefix, WRITABLE_FOLDERS), _allow(write, writable)]
        case Purpose.DELETE:
            statements = [_list(folder), _allow(["s3:DeleteObject"], [*writable, f"{folder.arn}/{folder.prefix}results/*"])]
        case Purpose.RESTORE:
            statements = [_list(folder), _allow(["s3:DeleteObjectVersion", "s3:GetObjectVersion"], everything)]
    return {"Version": "2012-10-17", "Statement": statements}


def open_session(folder: GroupFolder, purpose: Purpose) -> Credentials:
    """Return credentials for this purpose, from the group's role in the member's name. Raises NotGranted or NoCredentials."""
    if purpose in WRITING and not folder.is_writable:
        raise NotGranted(
            f"{folder.group.name} may only read in {folder.analysis.name}. Nothing was changed; "
            "ask an administrator to let it write."
        )
    refuse_before_cut_off(folder.membership)
    credentials = _assume(folder.group, folder.membership.username, session_policy(folder, purpose))
    note_use(folder.membership)
    return credentials


def hand_out(folder: GroupFolder, purpose: Purpose, actor: Actor) -> Credentials:
    """Return credentials for a page, recorded in the audit log. Only BROWSE and UPLOAD leave the server."""
    if purpose not in (Purpose.BROWSE, Purpose.UPLOAD):
        raise ValueError(f"A session to {purpose} does not leave the server.")
    credentials = open_session(folder, purpose)
    record(
        actor,
        "member.session",
        f"{folder.membership.user.email} in {folder.group.slug}",
        purpose=purpose.value,
        bucket=folder.bucket,
        access_key_id=credentials.access_key_id,
    )
    return credentials


def jobs_client(group: Group, analysis: Analysis) -> "S3Client":
    """Return a client in nobody's name, for the worker, which checks jobs while no page is open. Raises NoCredentials.

    It reads what a group's back ends wrote, and writes submissions that a page could not finish.
    """
    key = (JOBS_SESSION, f"{group.slug} {analysis.bucket}", Purpose.BROWSE, group.stack.deployed_generation, None)

    def open_one() -> Credentials:
        # A worker has the time to wait.
        assume = partial(_assume, group, JOBS_SESSION, jobs_policy(group, analysis))
        return until_settled(assume, group.stack_id, lambda error: isinstance(error, BeingMadeReady))

    return _cached_client(key, group.stack.place, open_one)


def jobs_policy(group: Group, analysis: Analysis) -> dict[str, Any]:
    """Return the policy of the worker's session."""
    arn, prefix = f"arn:{names.partition(group.stack.region)}:s3:::{analysis.bucket}", f"{group.slug}/"
    statements = [
        _list_folders(arn, prefix, ("results", "submissions")),
        _allow(["s3:GetObject"], [f"{arn}/{prefix}results/*", f"{arn}/{prefix}submissions/*"]),
        _allow(["s3:PutObject"], f"{arn}/{prefix}submissions/*"),
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def s3_client(folder: GroupFolder, purpose: Purpose) -> "S3Client":
    """Return a client for the server's own calls in a member's name; cached until shortly before its session ends."""
    # By the membership's own username: who leaves and comes back gets a new one, so no old session fits. And by the generation
    # that AWS holds: a deployment may have ended every session that began before it. The member's own cut-off does so at once.
    member = folder.membership
    key = (member.username, folder.bucket, purpose, folder.group.stack.deployed_generation, member.sessions_not_before)
    client = _cached_client(key, folder.group.stack.place, lambda: open_session(folder, purpose))
    client.meta.events.register("after-call.s3", partial(_wait_for_iam, folder.group.stack_id), unique_id="iam-delay")
    return client


def _wait_for_iam(stack_id: int, parsed: dict[str, Any], model: "OperationModel", **_: Any) -> None:
    """Raise BeingMadeReady where S3 refuses what a deployment gave a moment ago.

    A refusal to read one object stays: S3 refuses so too where there is none. The listing that tells (see `presence`) comes here.
    """
    if model.name not in READS and parsed.get("Error", {}).get("Code") in DENIED and is_settling(stack_id):
        raise BeingMadeReady


def _cached_client(key: _ClientKey, place: aws.Place, open_one: Callable[[], Credentials]) -> "S3Client":
    kept = _clients.get(key)
    if kept is None or kept.expires - timezone.now() < RENEW_BEFORE:
        if len(_clients) >= MAX_CLIENTS:
            _clients.clear()
        credentials = open_one()
        kept = _clients[key] = _CachedClient(_client(place, credentials), credentials.expiration or timezone.now())
    return kept.client


def _assume(group: Group, session_name: str, policy: dict[str, Any]) -> Credentials:
    try:
        answer = aws.client("sts", group.stack.place).assume_role(
            RoleArn=names.role_arn(group.stack.account, group.stack.region, group.slug),
            RoleSessionName=session_name,
            DurationSeconds=SESSION_SECONDS,
            Policy=json.dumps(policy, separators=(",", ":")),
        )["Credentials"]
    except (BotoCoreError, ClientError) as error:
        raise credentials_refused(group.stack, error, "AWS gave no credentials") from error
    return Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], answer["Expiration"])


def _client(place: aws.Place, credentials: Credentials) -> "S3Client":
    return aws.client(
        "s3",
        place,
        endpoint_url=config().aws_endpoint_url or None,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        config=BotoConfig(retries={"mode": "standard", "total_max_attempts": 3}, max_pool_connections=CONNECTIONS),
    )


def _list(folder: GroupFolder) -> dict[str, Any]:
    return _allow(["s3:ListBucket", "s3:ListBucketVersions"], folder.arn) | {
        "Condition": {"StringLike": {"s3:prefix": [f"{folder.prefix}*"]}}
    }


def _list_folders(arn: str, prefix: str, folders: Iterable[str]) -> dict[str, Any]:
    below = [f"{prefix}{folder}/*" for folder in folders]
    return _allow(["s3:ListBucket"], arn) | {"Condition": {"StringLike": {"s3:prefix": below}}}


def _allow(actions: list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}
