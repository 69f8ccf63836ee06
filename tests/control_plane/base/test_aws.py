"""boto3's clients for the web process: what they are made from is read once, and nobody is asked for it."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import boto3
import botocore.loaders
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from moto.core.botocore_stubber import MockRawResponse

from control_plane.base import aws
from control_plane.base.aws import Place, warm_up

PLACE = Place("111122223333", "us-east-1")


@pytest.fixture(autouse=True)
def fresh_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has just begun."""
    monkeypatch.setattr(aws, "_session", cache(boto3.session.Session))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that boto3 reads from now on."""
    found: list[str] = []
    load = botocore.loaders.JSONFileLoader.load_file

    def noting(self: Any, path: str) -> Any:
        found.append(path)
        return load(self, path)

    monkeypatch.setattr(botocore.loaders.JSONFileLoader, "load_file", noting)
    return found


def test_what_a_client_is_made_from_is_read_before_the_first_request_and_never_again(read: list[str]) -> None:
    warm_up()
    assert any("s3/" in path for path in read)
    read.clear()
    aws.client("s3", Place("111122223333", "eu-west-1"), aws_access_key_id="a", aws_secret_access_key="b", aws_session_token="c")
    aws.client("sts", Place("111122223333", "eu-west-1"), aws_access_key_id="a", aws_secret_access_key="b")
    assert read == []


def test_getting_ready_asks_nobody_for_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a host those are asked for over the network, which must not keep the site from starting."""

    def refuse(*_: Any) -> None:
        raise AssertionError("credentials were asked for")

    monkeypatch.setattr(botocore.session.Session, "get_credentials", refuse)
    warm_up()


def test_clients_made_at_once_in_many_threads_have_their_own_credentials() -> None:
    def key_of(number: int) -> str:
        client = aws.client("s3", PLACE, aws_access_key_id=f"key-{number}", aws_secret_access_key="b")
        return str(client._request_signer._credentials.access_key)  # type: ignore[attr-defined]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(key_of, range(40))) == [f"key-{number}" for number in range(40)]


def refused(status: int, code: str) -> tuple[int, bytes]:
    return status, f"<Error><Code>{code}</Code><Message>As AWS says it.</Message></Error>".encode()


CONFLICT = refused(409, "ConditionalRequestConflict")


@pytest.mark.parametrize(
    ("answers", "ends", "asked"),
    [
        ([CONFLICT, CONFLICT, (200, b"")], "", 3),
        ([CONFLICT, refused(412, "PreconditionFailed")], "PreconditionFailed", 2),
        ([CONFLICT] * 9, "ConditionalRequestConflict", aws.CONFLICT_TRIES),
        ([refused(409, "OperationAborted")], "OperationAborted", 1),
    ],
)
def test_a_conditional_write_that_meets_a_conflict_is_sent_again_as_it_was(
    monkeypatch: pytest.MonkeyPatch, answers: list[tuple[int, bytes]], ends: str, asked: int
) -> None:
    """S3's API reference, PutObject: "On a 409 failure, retry the upload". Sources that boto3 reads once are sent whole again."""
    monkeypatch.setattr(aws, "CONFLICT_SECONDS", 0.0)
    client = aws.client("s3", PLACE, aws_access_key_id="a", aws_secret_access_key="b")
    sent: list[tuple[Any, bytes]] = []
    left = iter(answers)

    def answer(request: AWSRequest, **_: Any) -> Any:
        body: Any = request.body
        sent.append((request.headers["If-None-Match"], body.read() if hasattr(body, "read") else body))
        status, content = next(left)
        return AWSResponse(str(request.url), status, HTTPHeaders(), MockRawResponse(content))

    client.meta.events.register("before-send.s3", answer)
    try:
        client.put_object(Bucket="cohort-ephys", Key="a", Body=b"text", IfNoneMatch="*")
        code = ""
    except ClientError as error:
        code = error.response["Error"]["Code"]
    assert code == ends
    assert len(sent) == asked
    assert {condition for condition, _ in sent} <= {"*", b"*"}
    assert all(b"text" in body for _, body in sent)
