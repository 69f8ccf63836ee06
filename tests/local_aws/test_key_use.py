"""When an access key was last used, and whose path a policy has to name: as IAM has them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import S3_ONLY, client


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def holder(aws: EmbeddedAws, name: str, policy: dict[str, Any], path: str = "/t/") -> tuple[str, str]:
    iam = client(aws, "iam")
    iam.create_user(UserName=name, Path=path)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def last_used(aws: EmbeddedAws, key: tuple[str, str]) -> dict[str, Any]:
    return client(aws, "iam").get_access_key_last_used(AccessKeyId=key[0])["AccessKeyLastUsed"]  # type: ignore[no-any-return]


def test_a_key_s_last_use_is_told_and_kept(aws: EmbeddedAws) -> None:
    key = holder(aws, "ada", S3_ONLY)
    assert last_used(aws, key) == {"Region": "N/A", "ServiceName": "N/A"}
    client(aws, "s3", *key).list_buckets()
    used = last_used(aws, key)
    assert (used["ServiceName"], used["Region"]) == ("s3", "us-east-1")
    with pytest.raises(ClientError, match="AccessDenied"):
        client(aws, "secretsmanager", *key).list_secrets()
    assert last_used(aws, key)["ServiceName"] == "secretsmanager"
    aws.stop()
    aws.start()
    assert last_used(aws, key)["LastUsedDate"] >= used["LastUsedDate"]


def test_a_wrong_secret_and_an_inactive_key_are_no_use(aws: EmbeddedAws) -> None:
    key = holder(aws, "grace", S3_ONLY)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client(aws, "s3", key[0], "guessed").list_buckets()
    client(aws, "iam").update_access_key(UserName="grace", AccessKeyId=key[0], Status="Inactive")
    with pytest.raises(ClientError):
        client(aws, "s3", *key).list_buckets()
    assert "LastUsedDate" not in last_used(aws, key)


def test_a_key_that_is_not_there_is_refused(aws: EmbeddedAws) -> None:
    with pytest.raises(ClientError, match="NoSuchEntity"):
        client(aws, "iam").get_access_key_last_used(AccessKeyId="AKIAAAAAAAAAAAAAAAAA")


def test_a_right_for_one_path_reaches_keys_below_it_and_no_others(aws: EmbeddedAws) -> None:
    actions = ["iam:ListAccessKeys", "iam:GetAccessKeyLastUsed"]
    resource = "arn:aws:iam::111122223333:user/ours/*"
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}]}
    looking = client(aws, "iam", *holder(aws, "looker", policy))
    ours, theirs = holder(aws, "our-user", S3_ONLY, "/ours/g/"), holder(aws, "their-user", S3_ONLY, "/theirs/")
    assert looking.list_access_keys(UserName="our-user")["AccessKeyMetadata"][0]["AccessKeyId"] == ours[0]
    looking.get_access_key_last_used(AccessKeyId=ours[0])
    with pytest.raises(ClientError, match="AccessDenied"):
        looking.list_access_keys(UserName="their-user")
    with pytest.raises(ClientError, match="AccessDenied"):
        looking.get_access_key_last_used(AccessKeyId=theirs[0])
