"""The control plane's own identity on the embedded AWS: an IAM user with the rights that it would have on AWS, no more."""

import json
from typing import Any

import boto3
from botocore.exceptions import ClientError

CONTROL_PLANE_USER = "cohort-control-plane"
# ministack does not look at the root's secret; it has to be there.
ROOT_SECRET = "root"  # noqa: S105

OUR_STACKS = ("Group-*", "Cohort-*")
KINDS = ("user", "group", "role", "policy")
SEE_STACKS = [
    f"cloudformation:{action}"
    for action in (
        "DescribeStacks",
        "DescribeStackEvents",
        "DescribeStackResources",
        "DescribeStackResource",
        "DescribeStackResourceDrifts",
        "DetectStackDrift",
        "DetectStackResourceDrift",
        "GetTemplate",
    )
]
MEND_STACKS = [
    f"cloudformation:{action}" for action in ("CancelUpdateStack", "ContinueUpdateRollback", "DeleteStack", "RollbackStack")
]


def control_plane_policy(account: str) -> dict[str, Any]:
    """What the control plane may do: deploy through CDK's own roles, assume the groups' roles, read the members' keys."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("DeployThroughCdk", "sts:AssumeRole", f"arn:aws:iam::{account}:role/cdk-*"),
            _allow("ActForMembers", "sts:AssumeRole", f"arn:aws:iam::{account}:role/cohort/*"),
            _allow("ReadMembersKeys", "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:*:{account}:secret:cohort/*"),
            _allow("SeeStacks", SEE_STACKS, f"arn:aws:cloudformation:*:{account}:stack/*"),
            # These name no resource that they could be bound to (Service Authorization Reference, CloudFormation and IAM).
            _allow("SeeDriftDetectionsAndUsers", ["cloudformation:DescribeStackDriftDetectionStatus", "iam:ListUsers"], "*"),
            _allow("MendOurStacks", MEND_STACKS, [f"arn:aws:cloudformation:*:{account}:stack/{name}/*" for name in OUR_STACKS]),
            # Drift detection reads what it compares as whoever asks for it (CloudFormation user guide, "Detecting drift").
            _allow(
                "SeeWhatStacksHold",
                ["iam:Get*", "iam:List*"],
                [*(f"arn:aws:iam::{account}:{kind}/cohort/*" for kind in KINDS), f"arn:aws:iam::{account}:policy/cohort-boundary"],
            ),
            _allow(
                "SeeSecretsWithoutValues", "secretsmanager:DescribeSecret", f"arn:aws:secretsmanager:*:{account}:secret:cohort/*"
            ),
            _allow(
                "SeeBuckets", ["s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration"], "arn:aws:s3:::*"
            ),
            _allow("SeeBootstrap", "ssm:GetParameter", f"arn:aws:ssm:*:{account}:parameter/cdk-bootstrap/*"),
        ],
    }


def create_identity(endpoint: str, account: str, region: str, user: str, policy: dict[str, Any]) -> tuple[str, str]:
    """Make the user with this policy, and a fresh key for it; older keys are removed. Returns (key id, secret).

    Done as the account's root, which ministack takes from an access key id that is the account's number.
    """
    iam = boto3.client(
        "iam", endpoint_url=endpoint, region_name=region, aws_access_key_id=account, aws_secret_access_key=ROOT_SECRET
    )
    try:
        iam.create_user(UserName=user)
    except iam.exceptions.EntityAlreadyExistsException:
        for old in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=user, AccessKeyId=old["AccessKeyId"])
    iam.put_user_policy(UserName=user, PolicyName="control-plane", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def identity_works(endpoint: str, region: str, key_id: str, secret: str) -> bool:
    """Whether the embedded AWS still knows this key."""
    sts = boto3.client("sts", endpoint_url=endpoint, region_name=region, aws_access_key_id=key_id, aws_secret_access_key=secret)
    try:
        sts.get_caller_identity()
    except ClientError:
        return False
    return True


def _allow(sid: str, actions: str | list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
