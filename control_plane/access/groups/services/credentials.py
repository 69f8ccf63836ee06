"""Short-lived credentials for a member's own computer, by assuming the group's role; and checks that all credentials share.

For a member's long-lived access key see `keys`.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.utils import timezone

from control_plane.access.groups.errors import BeingMadeReady, NoCredentials, NotMember
from control_plane.access.groups.models import Access, AccessState, Grant, Group, Membership
from control_plane.access.groups.permissions import refuse_ended, refuse_suspended
from control_plane.accounts.models import User
from control_plane.base import aws
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent, record
from control_plane.base.errors import TooOften
from control_plane.deployments.iam_delay import SETTLES, is_refusal, is_settling
from control_plane.deployments.models import Stack
from stacks import names

if TYPE_CHECKING:
    from mypy_boto3_sts.type_defs import AssumeRoleRequestTypeDef

SESSION_SECONDS = 3600
# IAM takes so many characters of a session policy (IAM user guide, "IAM and STS quotas").
MAX_POLICY_CHARACTERS = 2048
READ_ACTIONS = ("s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion")
# The role may also end versions, to undo deletions. A session that leaves the server may not.
WRITE_ACTIONS = ("s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
# The helper asks once an hour for each group; this leaves room for several computers, and none for a program gone wild.
MAX_SESSIONS_PER_HOUR = 60
# Precision of `Membership.last_used_at`.
LAST_USED_PRECISION = timedelta(minutes=10)


@dataclass(frozen=True)
class Credentials:
    """Credentials that sign requests to AWS. Never stored, logged or shown beyond the one response that hands them out."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    expiration: datetime | None = None

    def __repr__(self) -> str:
        return f"Credentials(access_key_id={self.access_key_id!r})"

    def as_credential_process(self) -> dict[str, Any]:
        """Return the document that AWS's SDKs read from a `credential_process` (AWS SDKs reference guide)."""
        document: dict[str, Any] = {
            "Version": 1,
            "AccessKeyId": self.access_key_id,
            "SecretAccessKey": self.secret_access_key,
        }
        if self.session_token and self.expiration:
            document |= {"SessionToken": self.session_token, "Expiration": self.expiration.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return document


def member_credentials(*, group: Group, user: User, actor: Actor) -> Credentials:
    """Hand out a member's credentials for a computer of theirs, and record that.

    On the web they are a session of an hour, for the member alone. An operator gets a key holder's key instead.
    Raises NotMember, NoCredentials, TooOften or PermissionDenied.
    """
    if not (actor.is_operator or (actor.user is not None and actor.user.pk == user.pk)):
        raise PermissionDenied("Only the member may ask for these credentials. None were made.")
    membership = find_membership(group, user)
    refuse_too_often(actor, "member.credentials", MAX_SESSIONS_PER_HOUR)
    try:
        hands_out_key = actor.is_operator and membership.access == Access.KEYS
        credentials = read_key(membership) if hands_out_key else _session(membership)
    except (BotoCoreError, ClientError) as error:
        raise credentials_refused(group.stack, error, f"AWS did not give credentials for {user.email}") from error
    note_use(membership)
    record(
        actor,
        "member.credentials",
        f"{user.email} in {group.slug}",
        access=membership.access if credentials.expiration is None else Access.FEDERATED.value,
        access_key_id=credentials.access_key_id,
    )
    return credentials


def credentials_refused(stack: Stack, error: BotoCoreError | ClientError, what: str) -> NoCredentials:
    """Return the error to raise where AWS refuses credentials: BeingMadeReady while IAM may still be settling."""
    if not is_refusal(error):
        return NoCredentials(f"{what}: {error}. Nothing was changed; try again.")
    if is_settling(stack.pk):
        return BeingMadeReady()
    return NoCredentials(
        f"{what}, though what it needs was deployed more than {SETTLES.total_seconds():.0f} seconds ago: {error}. "
        "Nothing was changed; ask an administrator to check the group's stack for changes made outside Cohort."
    )


def find_membership(group: Group, user: User) -> Membership:
    """Return the person's membership, active on AWS. Raises NotMember, Suspended or NoCredentials."""
    membership: Membership | None = (
        Membership.objects.wanted().select_related("group__stack", "user").filter(group=group, user=user).first()
    )
    if membership is None:
        raise NotMember(f"{user.email} is not in {group.name}. No credentials were made.")
    if not user.is_active:
        raise NoCredentials(f"{user.email} is not active. No credentials were made; activate the account first.")
    refuse_suspended(membership)
    refuse_ended(membership)
    refuse_before_cut_off(membership)
    if membership.access_state != AccessState.ACTIVE:
        raise NoCredentials(
            f"{user.email}'s access to {group.name} is not active yet. No credentials were made; "
            "wait until its deployment has ended (`manage.py deployment list` shows it)."
        )
    return membership


def refuse_before_cut_off(membership: Membership) -> None:
    """Raise BeingMadeReady until the cut-off has passed: a session opened before it would be denied with the older ones."""
    if membership.sessions_not_before is not None and membership.sessions_not_before > timezone.now():
        raise BeingMadeReady


def read_key(membership: Membership) -> Credentials:
    """Read the member's access key from the secret of the group's stack. The caller records it in the audit trail."""
    client = aws.client("secretsmanager", membership.group.stack.place)
    secret = client.get_secret_value(SecretId=names.secret(membership.group.slug, membership.username))
    key = json.loads(secret["SecretString"])
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def computer_policy(group: Group) -> dict[str, Any]:
    """Return the session policy for a member's computer: the group's folder in all its analyses, at the level of each grant.

    Where there are too many analyses to name, it allows any bucket: the role's own policies and the boundary name each one,
    and a session may do only what these allow too.
    """
    made = Grant.objects.wanted().filter(group=group, analysis__unmade_reason="")
    grants = made.select_related("analysis").order_by("analysis__bucket")
    arn = f"arn:{names.partition(group.stack.region)}:s3:::"
    readable = [f"{arn}{grant.analysis.bucket}" for grant in grants]
    writable = [f"{arn}{grant.analysis.bucket}" for grant in grants if grant.level == Grant.Level.READ_WRITE]
    policy = _policy(group.slug, readable, writable)
    if len(compact(policy)) <= MAX_POLICY_CHARACTERS:
        return policy
    return _policy(group.slug, [f"{arn}*"], [f"{arn}*"] if writable else [])


def note_use(membership: Membership) -> None:
    """Set the membership's `last_used_at`: one cheap statement, every ten minutes at the most."""
    now = timezone.now()
    if membership.last_used_at is not None and now - membership.last_used_at < LAST_USED_PRECISION:
        return
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - LAST_USED_PRECISION)
    Membership.objects.filter(stale, pk=membership.pk).update(last_used_at=now)
    membership.last_used_at = now


def compact(policy: dict[str, Any]) -> str:
    """Return the policy as JSON without white space, which is how IAM counts its characters."""
    return json.dumps(policy, separators=(",", ":"))


def refuse_too_often(actor: Actor, action: str, max_per_hour: int) -> None:
    """Raise TooOften if the audit trail has `max_per_hour` such actions of this person within the last hour."""
    if actor.is_operator:
        return
    since = timezone.now() - timedelta(hours=1)
    if AuditEvent.objects.filter(action=action, at__gt=since, actor_user=actor.user).count() >= max_per_hour:
        raise TooOften(f"This was done {max_per_hour} times within an hour. Nothing was changed; wait a while, then try again.")


def _session(membership: Membership) -> Credentials:
    stack = membership.group.stack
    request: AssumeRoleRequestTypeDef = {
        "RoleArn": names.role_arn(stack.account, stack.region, membership.group.slug),
        "RoleSessionName": membership.username,
        "DurationSeconds": SESSION_SECONDS,
        "Policy": compact(computer_policy(membership.group)),
    }
    answer = aws.client("sts", stack.place).assume_role(**request)["Credentials"]
    return Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], answer["Expiration"])


def _policy(slug: str, readable: list[str], writable: list[str]) -> dict[str, Any]:
    prefix = f"{slug}/"
    if not readable:
        return {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    statements = [
        _allow(["s3:GetBucketLocation"], readable),
        _allow(["s3:ListBucket"], readable) | {"Condition": {"StringLike": {"s3:prefix": [f"{prefix}*"]}}},
        _allow([*READ_ACTIONS], [f"{bucket}/{prefix}*" for bucket in readable]),
    ]
    if writable:
        folders = [f"{bucket}/{prefix}{folder}/*" for bucket in writable for folder in names.WRITABLE_FOLDERS]
        statements.append(_allow([*WRITE_ACTIONS], folders))
        statements.append(_allow(["s3:DeleteObject"], [f"{bucket}/{prefix}results/*" for bucket in writable]))
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(actions: list[str], resources: list[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources}
