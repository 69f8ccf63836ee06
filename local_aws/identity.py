"""Identities of our own programs on the embedded AWS: IAM users with the rights that they would have on AWS, no more."""

import json
from collections.abc import Sequence
from typing import Any

import boto3
from botocore.exceptions import ClientError

from stacks.site.host_policies import DEFAULT_PATTERNS, control_plane_statements

CONTROL_PLANE_USER = "cohort-control-plane"
# ministack does not look at the root's secret; it has to be there.
ROOT_SECRET = "root"  # noqa: S105


def control_plane_policy(account: str, region: str = "us-east-1", patterns: Sequence[str] = DEFAULT_PATTERNS) -> dict[str, Any]:
    """Return the worker's rights on AWS to deploy and to act for members. This machine has no volume, address or logs on AWS."""
    return {"Version": "2012-10-17", "Statement": control_plane_statements(account, region, patterns)}


def create_identity(endpoint: str, account: str, region: str, user: str, policy: dict[str, Any]) -> tuple[str, str]:
    """Create the user with this policy, and a fresh key for it; older keys are removed. Returns (key id, secret).

    Done as the account's root, which ministack takes from an access key id that is the account's number.
    """
    iam = _as_root(endpoint, account, region)
    try:
        iam.create_user(UserName=user)
    except iam.exceptions.EntityAlreadyExistsException:
        for old in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=user, AccessKeyId=old["AccessKeyId"])
    iam.put_user_policy(UserName=user, PolicyName=user, PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def renew_rights(endpoint: str, account: str, region: str, user: str, policy: dict[str, Any]) -> None:
    """Replace an existing user's policy, which an older version or other settings may have made; its key stays."""
    _as_root(endpoint, account, region).put_user_policy(UserName=user, PolicyName=user, PolicyDocument=json.dumps(policy))


def _as_root(endpoint: str, account: str, region: str) -> Any:
    return boto3.client(
        "iam", endpoint_url=endpoint, region_name=region, aws_access_key_id=account, aws_secret_access_key=ROOT_SECRET
    )


def identity_works(endpoint: str, region: str, key_id: str, secret: str) -> bool:
    """Return whether the embedded AWS still knows this key."""
    sts = boto3.client("sts", endpoint_url=endpoint, region_name=region, aws_access_key_id=key_id, aws_secret_access_key=secret)
    try:
        sts.get_caller_identity()
    except ClientError:
        return False
    return True
