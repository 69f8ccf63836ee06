"""The proxy that fails as AWS does."""

import http.client
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

from local_aws.server import EmbeddedAws, free_port
from tests.clients import make_client
from tests.faults import Faults, wait_until
from tests.local_aws.helpers import ACCOUNT, client

USER = "through-the-proxy"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


@pytest.fixture
def faults(aws: EmbeddedAws) -> Iterator[Faults]:
    with Faults(aws.port) as running:
        yield running


def through(faults: Faults, service: str, key: str = ACCOUNT, secret: str = "root", attempts: int = 1, **config: Any) -> Any:
    return make_client(
        service,
        endpoint_url=faults.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}, **config),
    )


def test_signatures_hold_through_it_and_objects_stay_whole(aws: EmbeddedAws, faults: Faults) -> None:
    iam = client(aws, "iam")
    iam.create_user(UserName=USER)
    document = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    iam.put_user_policy(UserName=USER, PolicyName="s3", PolicyDocument=document)
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    s3 = through(faults, "s3", key["AccessKeyId"], key["SecretAccessKey"])
    s3.create_bucket(Bucket="through-the-proxy")
    body = random.Random(1).randbytes(3_000_000)  # noqa: S311
    s3.put_object(Bucket="through-the-proxy", Key="a folder/ä+b", Body=body)
    assert s3.get_object(Bucket="through-the-proxy", Key="a folder/ä+b")["Body"].read() == body
    assert s3.head_object(Bucket="through-the-proxy", Key="a folder/ä+b")["ContentLength"] == len(body)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        through(faults, "s3", key["AccessKeyId"], "another secret").list_buckets()
    assert faults.counts["PutObject"] == 2
    assert faults.counts["HeadObject"] == 1


def test_a_chunked_body_arrives_whole(aws: EmbeddedAws, faults: Faults) -> None:
    client(aws, "s3").create_bucket(Bucket="chunks")
    url = client(aws, "s3").generate_presigned_url("put_object", Params={"Bucket": "chunks", "Key": "x"})
    connection = http.client.HTTPConnection("127.0.0.1", faults.port)
    path = "/" + url.split("/", 3)[3]
    chunks = iter([b"one", b"two"])
    connection.request("PUT", path, chunks, {"Host": f"localhost:{aws.port}"}, encode_chunked=True)
    assert connection.getresponse().status == 200
    assert client(aws, "s3").get_object(Bucket="chunks", Key="x")["Body"].read() == b"onetwo"


@pytest.mark.parametrize(("kind", "code"), [("throttle", "Throttling"), ("503", "ServiceUnavailable")])
def test_a_failure_reaches_the_client_as_aws_s_own(faults: Faults, kind: Any, code: str) -> None:
    faults.add(kind, action="DescribeStacks", service="cloudformation", times=1)
    cloudformation = through(faults, "cloudformation")
    cloudformation.list_stacks()
    with pytest.raises(ClientError) as caught:
        cloudformation.describe_stacks()
    assert caught.value.response["Error"]["Code"] == code
    assert cloudformation.describe_stacks()["Stacks"] == []


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [("secretsmanager", "list_secrets", "ThrottlingException"), ("s3", "list_buckets", "SlowDown")],
)
def test_each_protocol_is_throttled_in_its_own_words(faults: Faults, service: str, call: str, code: str) -> None:
    faults.add("throttle", service=service)
    with pytest.raises(ClientError, match=code):
        getattr(through(faults, service), call)()
    faults.clear()
    getattr(through(faults, service), call)()


def test_a_client_that_tries_again_gets_through(faults: Faults) -> None:
    faults.add("drop", action="ListUsers", times=1)
    faults.add("throttle", action="ListUsers", times=1)
    through(faults, "iam", attempts=3).list_users()
    assert faults.counts["ListUsers"] == 3


def test_what_is_dropped_never_happens_and_what_is_lost_did(aws: EmbeddedAws, faults: Faults) -> None:
    iam = through(faults, "iam")
    faults.add("drop", action="CreateGroup", times=1)
    faults.add("lose", action="CreateGroup", times=1)
    for name in ("dropped", "lost"):
        with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
            iam.create_group(GroupName=name)
    assert {group["GroupName"] for group in client(aws, "iam").list_groups()["Groups"]} == {"lost"}


def test_a_request_hangs_or_waits_and_a_stopped_proxy_lets_go(aws: EmbeddedAws) -> None:
    with Faults(aws.port) as faults:
        faults.add("delay", action="ListUsers", seconds=0.3, times=1)
        began = time.monotonic()
        through(faults, "iam").list_users()
        assert time.monotonic() - began >= 0.3
        faults.add("hang", action="ListUsers")
        with pytest.raises(ReadTimeoutError):
            through(faults, "iam", read_timeout=0.2).list_users()
        ended: list[Exception] = []
        thread = threading.Thread(target=_list_users, args=(faults, ended))
        thread.start()
        wait_until(faults, "ListUsers", 3)
        began = time.monotonic()
    thread.join(30)
    assert time.monotonic() - began < 30
    assert isinstance(ended[0], ConnectionClosedError)


def test_chance_is_the_same_every_time(faults: Faults) -> None:
    seen = []
    for _ in range(2):
        faults.clear()
        faults.add("503", probability=0.5, rng=random.Random(7))  # noqa: S311
        seen.append([_fails(faults) for _ in range(12)])
    assert seen[0] == seen[1]
    assert set(seen[0]) == {True, False}


def _fails(faults: Faults) -> bool:
    try:
        through(faults, "iam").list_users()
    except ClientError:
        return True
    return False


def _list_users(faults: Faults, ended: list[Exception]) -> None:
    try:
        through(faults, "iam").list_users()
    except Exception as error:
        ended.append(error)


def test_a_target_that_is_not_there_is_a_closed_connection() -> None:
    with Faults(free_port()) as faults, pytest.raises(ConnectionClosedError):
        through(faults, "iam").list_users()
