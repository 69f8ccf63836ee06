"""Sessions by `sts:GetSessionToken`: any key gets them, they outlive it, and only a policy on the user can end them sooner.

STS API reference, "GetSessionToken"; IAM user guide, "Permissions for GetSessionToken" and "AWS global condition context keys".
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from stacks import denials
from tests.local_aws.helpers import S3_ONLY, client


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def holder(aws: EmbeddedAws, name: str, *policies: dict[str, Any]) -> tuple[str, str]:
    iam = client(aws, "iam")
    iam.create_user(UserName=name)
    for number, policy in enumerate(policies or (S3_ONLY,)):
        iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def session(aws: EmbeddedAws, key: tuple[str, str], **request: Any) -> tuple[str, str, str]:
    given = client(aws, "sts", *key).get_session_token(**request)["Credentials"]
    return given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def test_no_policy_forbids_asking_for_a_session(aws: EmbeddedAws) -> None:
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    assert session(aws, holder(aws, "denied", everything))


def test_a_session_has_its_user_s_rights_and_outlives_the_key(aws: EmbeddedAws) -> None:
    key = holder(aws, "ada")
    given = session(aws, key)
    client(aws, "iam").delete_access_key(UserName="ada", AccessKeyId=key[0])
    client(aws, "s3", *given).list_buckets()
    client(aws, "iam").delete_user_policy(UserName="ada", PolicyName="p0")
    with pytest.raises(ClientError, match="AccessDenied"):
        client(aws, "s3", *given).list_buckets()


def test_a_session_ends_with_its_user_and_not_in_one_of_the_same_name(aws: EmbeddedAws) -> None:
    iam = client(aws, "iam")
    key = holder(aws, "grace")
    given = session(aws, key)
    iam.delete_access_key(UserName="grace", AccessKeyId=key[0])
    iam.delete_user_policy(UserName="grace", PolicyName="p0")
    iam.delete_user(UserName="grace")
    with pytest.raises(ClientError) as refused:
        client(aws, "sts", *given).get_caller_identity()
    assert code(refused) == "InvalidClientTokenId"
    holder(aws, "grace")
    with pytest.raises(ClientError) as refused:
        client(aws, "s3", *given).list_buckets()
    assert code(refused) in ("InvalidClientTokenId", "InvalidAccessKeyId")


def test_a_session_calls_nothing_of_iam_and_little_of_sts(aws: EmbeddedAws) -> None:
    anything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    given = session(aws, holder(aws, "lise", anything))
    assert client(aws, "sts", *given).get_caller_identity()["Arn"].endswith(":user/lise")
    with pytest.raises(ClientError) as refused:
        client(aws, "iam", *given).list_users()
    assert code(refused) == "InvalidClientTokenId"
    with pytest.raises(ClientError) as refused:
        client(aws, "sts", *given).get_session_token()
    assert code(refused) == "AccessDenied"


@pytest.mark.parametrize("seconds", [899, 129_601])
def test_a_session_lasts_a_quarter_of_an_hour_to_36_hours(aws: EmbeddedAws, seconds: int) -> None:
    key = holder(aws, f"user-{seconds}")
    # The SDK itself would refuse to send so short a time.
    sts = client(aws, "sts", *key, config=Config(parameter_validation=False))
    with pytest.raises(ClientError) as refused:
        sts.get_session_token(DurationSeconds=seconds)
    assert code(refused) == "ValidationError"
    session(aws, key, DurationSeconds=900 if seconds < 900 else 129_600)


def test_the_denial_of_key_sessions_ends_them_and_leaves_the_key(aws: EmbeddedAws) -> None:
    """Global condition keys: `aws:TokenIssueTime` is in requests by temporary credentials, and in none by an access key."""
    key = holder(aws, "maria")
    given = session(aws, key)
    client(aws, "s3", *given).list_buckets()
    client(aws, "iam").put_user_policy(
        UserName="maria", PolicyName="sessions", PolicyDocument=json.dumps(denials.key_session_denial())
    )
    with pytest.raises(ClientError, match="AccessDenied"):
        client(aws, "s3", *given).list_buckets()
    client(aws, "s3", *key).list_buckets()
    with pytest.raises(ClientError, match="AccessDenied"):
        client(aws, "s3", *session(aws, key)).list_buckets()
