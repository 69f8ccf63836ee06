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
# Clients may be used by many threads at once; the session that makes them may not (boto3's guide, "Session").
_making = Lock()


@overload
def make_client(service: Literal["s3"], **options: Any) -> "S3Client": ...
@overload
def make_client(service: Literal["secretsmanager"], **options: Any) -> "SecretsManagerClient": ...
@overload
def make_client(service: Literal["sts"], **options: Any) -> "STSClient": ...
def make_client(service: Service, **options: Any) -> Any:
    """A client as `boto3.client` makes it, with the same options; from any thread."""
    with _making:
        return _session().client(service, **options)


def warm_up() -> None:
    """Read now what the first person would wait for. Asks nobody: neither AWS nor where credentials come from."""
    services: tuple[Service, ...] = ("s3", "sts")
    for service in services:
        make_client(service, region_name="us-east-1", aws_access_key_id=NO_KEY, aws_secret_access_key=NO_KEY)


@cache
def _session() -> boto3.session.Session:
    return boto3.session.Session()
