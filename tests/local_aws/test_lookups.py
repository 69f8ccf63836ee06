"""A lookup of what is not there: AccessDenied under a policy that names paths, since the ARN of what is missing has no path.

Service Authorization Reference, "Actions, resources, and condition keys for IAM": a user's resource is
`arn:aws:iam::<account>:user/<path and name>`, and of a user who is not there IAM knows the name alone. Only who may look
anywhere learns that there is none.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import ACCOUNT, client

DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})
LOOKUPS: dict[str, Callable[[Any], Any]] = {
    "GetUser": lambda iam: iam.get_user(UserName="nobody"),
    "ListAccessKeys": lambda iam: iam.list_access_keys(UserName="nobody"),
    "ListUserPolicies": lambda iam: iam.list_user_policies(UserName="nobody"),
    "ListGroupsForUser": lambda iam: iam.list_groups_for_user(UserName="nobody"),
    "GetRole": lambda iam: iam.get_role(RoleName="nobody"),
    "GetGroup": lambda iam: iam.get_group(GroupName="nobody"),
    "ListGroupPolicies": lambda iam: iam.list_group_policies(GroupName="nobody"),
    "GetAccessKeyLastUsed": lambda iam: iam.get_access_key_last_used(AccessKeyId="AKIAAAAAAAAAAAAAAAAA"),
    "PutUserPolicy": lambda iam: iam.put_user_policy(UserName="nobody", PolicyName="p", PolicyDocument=DOCUMENT),
    "PutGroupPolicy": lambda iam: iam.put_group_policy(GroupName="nobody", PolicyName="p", PolicyDocument=DOCUMENT),
    "DeleteUserPolicy": lambda iam: iam.delete_user_policy(UserName="nobody", PolicyName="p"),
}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def looker(aws: EmbeddedAws, name: str, *resources: str) -> Any:
    iam = client(aws, "iam")
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": "iam:*", "Resource": list(resources)}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return client(aws, "iam", key["AccessKeyId"], key["SecretAccessKey"])


@pytest.mark.parametrize("action", LOOKUPS)
def test_who_may_look_at_paths_is_denied_what_is_not_there(aws: EmbeddedAws, action: str) -> None:
    paths = [f"arn:aws:iam::{ACCOUNT}:{kind}/ours/*" for kind in ("user", "role", "group", "policy")]
    with pytest.raises(ClientError) as refused:
        LOOKUPS[action](looker(aws, f"paths-{action}", *paths))
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


@pytest.mark.parametrize("action", LOOKUPS)
def test_who_may_look_anywhere_is_told_that_there_is_none(aws: EmbeddedAws, action: str) -> None:
    with pytest.raises(ClientError) as refused:
        LOOKUPS[action](looker(aws, f"all-{action}", "*"))
    assert refused.value.response["Error"]["Code"] == "NoSuchEntity"


def test_what_went_away_is_denied_from_then_on(aws: EmbeddedAws) -> None:
    looking = looker(aws, "path-looker", f"arn:aws:iam::{ACCOUNT}:user/ours/*")
    iam = client(aws, "iam")
    iam.create_user(UserName="leaver", Path="/ours/")
    assert looking.get_user(UserName="leaver")["User"]["Path"] == "/ours/"
    iam.delete_user(UserName="leaver")
    with pytest.raises(ClientError, match="AccessDenied"):
        looking.get_user(UserName="leaver")
