"""boto3's clients for the web process, made from one session.

What boto3 reads from the disk about a service (a megabyte for S3) is kept by the session it is read for. A session for each client
read it anew each time: a tenth of a second, or most of one while the machine is busy.
"""

from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sts import STSClient

Service = Literal["s3", "secretsmanager", "sts"]
NO_KEY = "none"
# A conditional write that meets another change of its key; the wait doubles with each try.
CONFLICT_TRIES, CONFLICT_SECONDS = 4, 0.1
# Clients may be used by many threads at once; the session that makes them may not (boto3's guide, "Session").
_making = Lock()


@overload
def make_client(service: Literal["s3"], **options: Any) -> "S3Client": ...
@overload
def make_client(service: Literal["secretsmanager"], **options: Any) -> "SecretsManagerClient": ...
@overload
def make_client(service: Literal["sts"], **options: Any) -> "STSClient": ...
def make_client(service: Service, **options: Any) -> Any:
    """A client as `boto3.client` makes it, with the same options; from any thread. S3's sends again what met a conflict."""
    with _making:
        client = _session().client(service, **options)
    if service == "s3":
        # botocore's own types say that a handler answers nothing; the answer to this event is how long to wait.
        client.meta.events.register("needs-retry.s3.PutObject", _wait_after_conflict)  # type: ignore[arg-type]
    return client


def warm_up() -> None:
    """Read now what the first person would wait for. Asks nobody: neither AWS nor where credentials come from."""
    services: tuple[Service, ...] = ("s3", "sts")
    for service in services:
        make_client(service, region_name="us-east-1", aws_access_key_id=NO_KEY, aws_secret_access_key=NO_KEY)


def _wait_after_conflict(response: Any, attempts: int, **_: Any) -> float | None:
    """The seconds to wait before the same conditional write is sent again, or None.

    S3 answers 409 where something else was done with the key at the same moment (its API reference, PutObject: "On a 409 failure,
    retry the upload"), and boto3 does not try that again.
    """
    if response is None or attempts >= CONFLICT_TRIES:
        return None
    code = response[1].get("Error", {}).get("Code")
    return CONFLICT_SECONDS * 2.0**attempts if code == "ConditionalRequestConflict" else None


@cache
def _session() -> boto3.session.Session:
    return boto3.session.Session()
