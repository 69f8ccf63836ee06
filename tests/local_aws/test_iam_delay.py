"""IAM's delay in the embedded AWS: for a while, authorisation and reads see what there was before a change, or what there is now.

The rule is IAM's own: user guide, "Troubleshoot IAM", "Changes that I make are not always immediately visible".
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import ACCOUNT, EVERYTHING, S3_ONLY, SECONDS, body_of, client, deploy, held_key, key_holder, start

# Long beside what a test takes: within it nothing is settled. A test that waits for the end of it sets a shorter one.
LONG = 300.0
SHORT = 1.0
# With an even chance each, one of so many requests sees the other: (1/2)^39 of not doing so.
READERS = 40
DENIED = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}],
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture
def aws(running: EmbeddedAws) -> Iterator[EmbeddedAws]:
    yield running
    settle(running)


def settle(aws: EmbeddedAws) -> None:
    """End the delay; the next request takes that in."""
    aws.set_iam_delay(0)
    client(aws, "iam").list_users()


def holder(aws: EmbeddedAws, name: str) -> tuple[str, str]:
    iam = client(aws, "iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(S3_ONLY))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def outcomes(ask: Callable[[], Any]) -> set[str]:
    """What many requests are answered: "yes", or AWS's code."""
    found = set()
    for _ in range(READERS):
        try:
            ask()
            found.add("yes")
        except ClientError as error:
            found.add(error.response["Error"]["Code"])
    return found


def settled(ask: Callable[[], Any], wanted: str) -> None:
    """Wait until every reader sees the same, and that it is this."""
    deadline = time.monotonic() + SECONDS
    while (found := outcomes(ask)) != {wanted}:
        assert time.monotonic() < deadline, found


def test_without_a_delay_each_change_is_seen_at_once(aws: EmbeddedAws) -> None:
    key = holder(aws, "prompt")
    assert outcomes(client(aws, "s3", *key).list_buckets) == {"yes"}
    client(aws, "iam").delete_access_key(UserName="prompt", AccessKeyId=key[0])
    assert outcomes(client(aws, "s3", *key).list_buckets) == {"InvalidAccessKeyId"}


def test_a_new_key_is_not_known_to_everybody_before_the_delay_is_over(aws: EmbeddedAws) -> None:
    aws.set_iam_delay(LONG)
    key = holder(aws, "ada")
    assert outcomes(client(aws, "sts", *key).get_caller_identity) == {"yes", "InvalidClientTokenId"}
    assert "InvalidAccessKeyId" in outcomes(client(aws, "s3", *key).list_buckets)
    aws.set_iam_delay(SHORT)
    settled(client(aws, "s3", *key).list_buckets, "yes")


def test_a_removed_key_and_an_old_right_work_on_for_a_while(aws: EmbeddedAws) -> None:
    key, other = holder(aws, "grace"), holder(aws, "hedy")
    aws.set_iam_delay(LONG)
    iam = client(aws, "iam")
    iam.delete_access_key(UserName="grace", AccessKeyId=key[0])
    iam.delete_user_policy(UserName="hedy", PolicyName="own")
    assert outcomes(client(aws, "s3", *key).list_buckets) == {"yes", "InvalidAccessKeyId"}
    assert outcomes(client(aws, "s3", *other).list_buckets) == {"yes", "AccessDenied"}


def test_a_denial_is_late_as_well_and_holds_in_the_end(aws: EmbeddedAws) -> None:
    s3, iam = client(aws, "s3", *holder(aws, "lise")), client(aws, "iam")
    # Longer than the first readers take on a busy machine.
    aws.set_iam_delay(3 * SHORT)
    iam.put_user_policy(UserName="lise", PolicyName="no", PolicyDocument=json.dumps(DENIED))
    assert outcomes(s3.list_buckets) >= {"yes"}
    settled(s3.list_buckets, "AccessDenied")


def test_a_role_just_made_cannot_be_assumed_by_everybody(aws: EmbeddedAws) -> None:
    key = holder(aws, "maria")
    client(aws, "iam").put_user_policy(UserName="maria", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    aws.set_iam_delay(LONG)
    arn = client(aws, "iam").create_role(RoleName="new", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]

    def assume() -> None:
        client(aws, "sts", *key).assume_role(RoleArn=arn, RoleSessionName="session")

    assert outcomes(assume) == {"yes", "AccessDenied"}


def test_reads_are_late_and_the_answer_of_the_changing_call_is_not(aws: EmbeddedAws) -> None:
    aws.set_iam_delay(LONG)
    iam = client(aws, "iam")
    # A call that changes what was just made finds it, each time.
    for number in range(READERS):
        iam.create_user(UserName=f"new-{number}")
        iam.put_user_policy(UserName=f"new-{number}", PolicyName="own", PolicyDocument=json.dumps(S3_ONLY))
    assert outcomes(lambda: iam.get_user(UserName="new-0")) == {"yes", "NoSuchEntity"}
    assert outcomes(lambda: iam.get_user_policy(UserName="new-0", PolicyName="own")) >= {"yes", "NoSuchEntity"}
    lengths = {len(iam.list_users(PathPrefix="/")["Users"]) for _ in range(READERS)}
    assert len(lengths) > 1, "every reader saw as many users"


def test_what_cloudformation_makes_is_late_too(aws: EmbeddedAws) -> None:
    aws.set_iam_delay(LONG)
    assert deploy(aws, "late", key_holder("late"))["StackStatus"] == "CREATE_COMPLETE"
    settle(aws)
    key = held_key(aws, "late")
    aws.set_iam_delay(LONG)
    assert deploy(aws, "late", key_holder("late", serial=2))["StackStatus"] == "UPDATE_COMPLETE"
    # The old key is gone, and still works for some.
    assert outcomes(client(aws, "sts", *key).get_caller_identity) == {"yes", "InvalidClientTokenId"}


def test_the_delay_begins_with_the_change_and_not_with_the_first_who_looks(aws: EmbeddedAws) -> None:
    aws.set_iam_delay(SHORT / 4)
    iam = client(aws, "iam")
    iam.list_users()
    iam.create_user(UserName="unwatched-too")
    start(aws, "unwatched", body_of(key_holder("unwatched")))
    time.sleep(4 * SHORT)
    assert outcomes(lambda: iam.get_user(UserName="unwatched")) == {"yes"}
    assert outcomes(lambda: iam.get_user(UserName="unwatched-too")) == {"yes"}


def test_the_same_seed_lets_the_same_requests_see_the_same(aws: EmbeddedAws, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []
    for name in ("one", "two"):
        assert aws.set_iam_delay(LONG, seed=7) == 7
        client(aws, "iam").create_user(UserName=f"seeded-{name}")
        seen.append([outcome(aws, f"seeded-{name}") for _ in range(READERS)])
        settle(aws)
    assert seen[0] == seen[1]
    assert len(set(seen[0])) > 1
    assert "seed 7" in capsys.readouterr().out
    assert "the seed is 7" in aws.log_path.read_text()


def outcome(aws: EmbeddedAws, user: str) -> bool:
    try:
        client(aws, "iam").get_user(UserName=user)
    except ClientError:
        return False
    return True
