"""Credentials for a member: short-lived ones by assuming the group's role, or the member's own key."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import PermissionDenied

from control_plane.accounts.models import User
from control_plane.accounts.permissions import is_administrator
from control_plane.audit.actors import Actor
from control_plane.audit.models import record
from control_plane.groups.errors import NoCredentials, NotMember
from control_plane.groups.models import Access, AccessState, Group, Membership
from stacks.manifest import names

if TYPE_CHECKING:
    from mypy_boto3_sts.type_defs import AssumeRoleRequestTypeDef

SESSION_SECONDS = 3600


@dataclass(frozen=True)
class Credentials:
    """What signs requests to AWS. Never stored, logged or shown by Cohort beyond the one answer that hands it out."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    expiration: datetime | None = None

    def __repr__(self) -> str:
        return f"Credentials(access_key_id={self.access_key_id!r})"

    def as_credential_process(self) -> dict[str, Any]:
        """The document that AWS's SDKs read from a `credential_process` (AWS SDKs reference guide)."""
        document: dict[str, Any] = {
            "Version": 1,
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.secret_access_key,
        }
        if self.session_token and self.expiration:
            document |= {"SessionToken": self.session_token, "Expiration": self.expiration.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return document


def member_credentials(*, group: Group, user: User, actor: Actor, session_policy: dict[str, Any] | None = None) -> Credentials:
    """Hand out a member's credentials, and record that. `session_policy` narrows a federated session further.

    Only the member and administrators may ask. Raises NotMember, NoCredentials or PermissionDenied.
    """
    _require_self_or_administrator(actor, user)
    membership = Membership.objects.wanted().select_related("group__stack").filter(group=group, user=user).first()
    if membership is None:
        raise NotMember(f"{user.email} is not in {group.name}. No credentials were made.")
    if not user.is_active:
        raise NoCredentials(f"{user.email} is not active. No credentials were made; activate the account first.")
    if membership.access_state != AccessState.ACTIVE:
        raise NoCredentials(
            f"{user.email}'s access to {group.name} is not in force yet. No credentials were made; "
            "wait until its deployment has ended (`manage.py deployment list` shows it)."
        )
    try:
        credentials = _key(membership) if membership.access == Access.KEYS else _session(membership, session_policy)
    except (BotoCoreError, ClientError) as error:
        raise NoCredentials(f"AWS did not give credentials for {user.email}: {error}. Nothing was changed; try again.") from error
    record(
        actor,
        "member.credentials",
        f"{user.email} in {group.slug}",
        access=membership.access,
        access_key_id=credentials.access_key_id,
    )
    return credentials


def _require_self_or_administrator(actor: Actor, user: User) -> None:
    if actor.is_operator or is_administrator(actor.user) or (actor.user is not None and actor.user.pk == user.pk):
        return
    raise PermissionDenied("Only the member and administrators may ask for these credentials. None were made.")


def _session(membership: Membership, session_policy: dict[str, Any] | None) -> Credentials:
    stack = membership.group.stack
    request: AssumeRoleRequestTypeDef = {
        "RoleArn": names.role_arn(stack.account, stack.region, membership.group.slug),
        "RoleSessionName": membership.username,
        "DurationSeconds": SESSION_SECONDS,
    }
    if session_policy:
        request["Policy"] = json.dumps(session_policy, separators=(",", ":"))
    answer = boto3.client("sts", region_name=stack.region).assume_role(**request)["Credentials"]
    return Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], answer["Expiration"])


def _key(membership: Membership) -> Credentials:
    client = boto3.client("secretsmanager", region_name=membership.group.stack.region)
    secret = client.get_secret_value(SecretId=names.secret(membership.group.slug, membership.username))
    key = json.loads(secret["SecretString"])
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])
