"""Removal from AWS of unmanaged resources that no stack holds, as an administrator decided. For workers.

A stack is not removed here: its group becomes known and is retired (see `unmanaged_decisions`).
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from django.db import transaction

from control_plane.access.review.models import UnmanagedResource
from control_plane.access.review.unmanaged import is_unknown
from control_plane.base import aws
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.aws import AwsFailure, Place

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

logger = logging.getLogger("cohort.review")

Kind = UnmanagedResource.Kind
# Until then a secret can be restored (Secrets Manager takes 7 to 30 days).
SECRET_RECOVERY_DAYS = 7


def remove_from_aws(pk: int) -> None:
    """Remove one resource as decided, unless the database knows it by now. A failure is kept on its row.

    A passing failure of AWS leaves the row to be removed, and the next scan tries again.
    """
    row = UnmanagedResource.objects.filter(pk=pk, state=UnmanagedResource.State.REMOVING).first()
    if row is None:
        return
    if not is_unknown(row):
        row.delete()
        return
    try:
        with aws.translated_errors():
            _REMOVERS[Kind(row.kind)](row)
    except AwsFailure as error:
        state = UnmanagedResource.State.REMOVING if error.is_passing else UnmanagedResource.State.WAITING
        problem = f"{error} What was removed before that stays removed."[:500]
        UnmanagedResource.objects.filter(pk=pk).update(state=state, error=problem)
        logger.warning("%s could not be removed: %s", row, error)
        return
    with transaction.atomic():
        record(Actor.system("review"), "unmanaged.removed", row.name, kind=row.kind, decided_by=row.decided_by)
        UnmanagedResource.objects.filter(pk=pk).delete()
    logger.info("%s was removed, as %s decided", row, row.decided_by)


def _remove_user(row: UnmanagedResource) -> None:
    iam, name = _iam(), row.name
    if name not in _list_all(iam, "list_users", "Users", "UserName", PathPrefix=row.path):
        return
    # What gives access goes first.
    for key in _list_all(iam, "list_access_keys", "AccessKeyMetadata", "AccessKeyId", UserName=name):
        iam.delete_access_key(UserName=name, AccessKeyId=key)
    try:
        iam.delete_login_profile(UserName=name)
    except iam.exceptions.NoSuchEntityException:
        logger.debug("%s has no password for the console", name)
    for group in _list_all(iam, "list_groups_for_user", "Groups", "GroupName", UserName=name):
        iam.remove_user_from_group(UserName=name, GroupName=group)
    _remove_policies(iam, "user", UserName=name)
    iam.delete_user(UserName=name)


def _remove_role(row: UnmanagedResource) -> None:
    iam, name = _iam(), row.name
    if name not in _list_all(iam, "list_roles", "Roles", "RoleName", PathPrefix=row.path):
        return
    _remove_policies(iam, "role", RoleName=name)
    iam.delete_role(RoleName=name)


def _remove_iam_group(row: UnmanagedResource) -> None:
    iam, name = _iam(), row.name
    if name not in _list_all(iam, "list_groups", "Groups", "GroupName", PathPrefix=row.path):
        return
    for user in _list_all(iam, "get_group", "Users", "UserName", GroupName=name):
        iam.remove_user_from_group(UserName=user, GroupName=name)
    _remove_policies(iam, "group", GroupName=name)
    iam.delete_group(GroupName=name)


def _remove_policies(iam: "IAMClient", kind: Literal["user", "role", "group"], **named: str) -> None:
    """Delete a principal's inline policies and detach the others: IAM deletes no principal that has any."""
    for policy in _list_all(iam, f"list_{kind}_policies", "PolicyNames", None, **named):
        getattr(iam, f"delete_{kind}_policy")(**named, PolicyName=policy)
    for arn in _list_all(iam, f"list_attached_{kind}_policies", "AttachedPolicies", "PolicyArn", **named):
        getattr(iam, f"detach_{kind}_policy")(**named, PolicyArn=arn)


def _remove_secret(row: UnmanagedResource) -> None:
    client = aws.client("secretsmanager", row.place, config=aws.ADAPTIVE_RETRIES)
    try:
        client.delete_secret(SecretId=row.name, RecoveryWindowInDays=SECRET_RECOVERY_DAYS)
    except client.exceptions.ResourceNotFoundException:
        logger.debug("%s is gone already", row)


def _refuse_stack(row: UnmanagedResource) -> None:
    raise ValueError(f"{row.name} is a stack, which is removed by a deployment.")


_REMOVERS: dict[str, Callable[[UnmanagedResource], None]] = {
    Kind.STACK: _refuse_stack,
    Kind.USER: _remove_user,
    Kind.ROLE: _remove_role,
    Kind.IAM_GROUP: _remove_iam_group,
    Kind.SECRET: _remove_secret,
}


def _iam() -> "IAMClient":
    return aws.iam(Place.of_site())


def _list_all(iam: "IAMClient", call: str, key: str, member: str | None, **named: str) -> list[Any]:
    pages = iam.get_paginator(call).paginate(**named)  # type: ignore[call-overload]
    return [item if member is None else item[member] for page in pages for item in page[key]]
