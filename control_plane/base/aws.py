"""AWS clients by account and region, and AWS's errors as exceptions that say what to do.

Only this module makes boto3 clients and reads the settings for account and region. Whatever calls AWS takes the `Place` from the
row that it is about (`Stack.place`), or `Place.of_site()` where there is no such row.

boto3 reads a service's definition from the disk (a megabyte for S3) once per session. A session per client would read it each
time: a tenth of a second, or most of a second while the machine is busy. So all clients come from one session.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Lock
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import boto3
from botocore.client import BaseClient
from botocore.config import Config as BotoConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)
from botocore.exceptions import (
    ConnectionError as AwsConnectionError,
)

from control_plane.base.config import config

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sts import STSClient

Service = Literal["cloudformation", "cloudwatch", "iam", "s3", "secretsmanager", "sts"]
NO_KEY = "none"
NOTHING_CHANGED = "Nothing was changed on AWS by this try."
# For a conditional write that conflicts with another change of its key; the wait doubles with each try.
CONFLICT_TRIES, CONFLICT_SECONDS = 4, 0.1
# For reading all of an account's IAM and secrets: AWS throttles that, and no page waits for it.
ADAPTIVE_RETRIES = BotoConfig(retries={"mode": "adaptive", "max_attempts": 8})
# Error codes by which AWS says that it does not know the caller.
BAD_CREDENTIALS_CODES = frozenset(
    {
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "AuthFailure",
        "InvalidAccessKeyId",
    }
)
# Transient error codes (each service's API reference, "Common errors").
PASSING_CODES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "SlowDown",
        "PriorRequestNotComplete",
        "RequestTimeout",
        "RequestTimeoutException",
        "InternalFailure",
        "InternalError",
        "InternalServerError",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "OperationInProgressException",
        # Another caller is changing the same resource at this moment (IAM and S3 API references, each call's errors).
        "ConcurrentModification",
        "ConcurrentModificationException",
        "EntityTemporarilyUnmodifiable",
        "OperationAborted",
    }
)
# Clients may be used by many threads at once, the session that makes them may not (boto3's guide, "Session").
_session_lock = Lock()


@dataclass(frozen=True, order=True)
class Place:
    """An AWS account, by its number, and a region in it."""

    account: str
    region: str

    @classmethod
    def of_site(cls) -> "Place":
        """Return the place of the site's own resources, in which new groups are made as well."""
        return cls(config().cohort_account, config().cohort_region)


class AwsFailure(RuntimeError):
    """AWS could not be used. `advice` says what was not changed and what to do; `is_passing` that another try may succeed."""

    advice = f"{NOTHING_CHANGED} The change is kept and waits: correct the cause, then deploy again."
    is_passing: ClassVar[bool] = False


class AwsUnreachable(AwsFailure):
    """No answer from AWS."""

    advice = f"{NOTHING_CHANGED} It is tried again by itself; if that goes on, check the network and AWS_ENDPOINT_URL."
    is_passing = True


class AwsBusy(AwsFailure):
    """AWS refuses for the moment: too many requests, or an internal error."""

    advice = f"{NOTHING_CHANGED} It is tried again by itself."
    is_passing = True


class CredentialsRefused(AwsFailure):
    """AWS does not know the control plane's credentials, or there are none."""

    advice = f"{NOTHING_CHANGED} Check AWS_PROFILE or the access key of the worker, then deploy again."


class NotAllowed(AwsFailure):
    """AWS knows the control plane but refuses the call."""

    advice = f"{NOTHING_CHANGED} Give the worker's identity this right, then deploy again."


@overload
def client(service: Literal["cloudformation"], place: Place, **options: Any) -> "CloudFormationClient": ...
@overload
def client(service: Literal["cloudwatch"], place: Place, **options: Any) -> Any: ...
@overload
def client(service: Literal["iam"], place: Place, **options: Any) -> "IAMClient": ...
@overload
def client(service: Literal["s3"], place: Place, **options: Any) -> "S3Client": ...
@overload
def client(service: Literal["secretsmanager"], place: Place, **options: Any) -> "SecretsManagerClient": ...
@overload
def client(service: Literal["sts"], place: Place, **options: Any) -> "STSClient": ...
def client(service: Service, place: Place, **options: Any) -> Any:
    """Make a client with the options that `boto3.client` takes; from any thread. An S3 client retries a write after a conflict."""
    with _session_lock:
        made = _session().client(service, region_name=place.region, **options)
    if service == "s3":
        # botocore's own types say that a handler returns nothing; for this event it returns how long to wait.
        made.meta.events.register("needs-retry.s3.PutObject", _wait_after_conflict)  # type: ignore[arg-type]
    return made


def iam(place: Place) -> "IAMClient":
    """Make a client for IAM that waits while AWS throttles."""
    return client("iam", place, config=ADAPTIVE_RETRIES)


def warm_up() -> None:
    """Load the service definitions that the first request would wait for. Calls neither AWS nor a source of credentials."""
    services: tuple[Literal["s3", "sts"], ...] = ("s3", "sts")
    for service in services:
        client(service, Place("", "us-east-1"), aws_access_key_id=NO_KEY, aws_secret_access_key=NO_KEY)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn botocore's errors within the block into AwsFailure, which says what to do."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise CredentialsRefused(f"There are no usable AWS credentials: {error}.") from error
    except (AwsConnectionError, HTTPClientError) as error:
        raise AwsUnreachable(f"AWS does not answer: {error}.") from error
    except ClientError as error:
        raise _translate_client_error(error) from error
    except BotoCoreError as error:
        raise AwsFailure(f"AWS could not be asked: {error}.") from error


def _wait_after_conflict(response: Any, attempts: int, **_: Any) -> float | None:
    """Return the seconds to wait before the same conditional write is sent again, or None to give up.

    S3 answers 409 if the key was changed at the same moment (its API reference, PutObject: "On a 409 failure, retry the upload"),
    and boto3 does not retry that.
    """
    if response is None or attempts >= CONFLICT_TRIES:
        return None
    code = response[1].get("Error", {}).get("Code")
    return CONFLICT_SECONDS * 2.0**attempts if code == "ConditionalRequestConflict" else None


@cache
def _session() -> boto3.session.Session:
    return boto3.session.Session()


def _translate_client_error(error: ClientError) -> AwsFailure:
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", str(error))
    if code in BAD_CREDENTIALS_CODES:
        return CredentialsRefused(f"AWS refuses the control plane's credentials: {message} ({code}).")
    if code.startswith("AccessDenied"):
        return NotAllowed(f"AWS does not allow it: {message}")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in PASSING_CODES or status >= 500 or status == 429:
        return AwsBusy(f"AWS is busy: {_service_of(error)} answered {code}: {message}.")
    return AwsFailure(f"{_service_of(error)} answered {code}: {message}")


def _service_of(error: ClientError) -> str:
    """Return the name of the service that raised the error, taken from the client in the traceback; `AWS` if there is none.

    The error itself names the operation alone, and one block may call several services.
    """
    for frame, _ in walk_tb(error.__traceback__):
        if isinstance(client := frame.f_locals.get("self"), BaseClient):
            return str(client.meta.service_model.service_id)
    return "AWS"
