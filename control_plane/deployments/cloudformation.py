"""What CloudFormation itself says about a stack. The CLI's exit code is never taken for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import boto3
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

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

COMPLETE = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "IMPORT_COMPLETE"})
# How AWS says that it does not know the caller.
BAD_CREDENTIALS = frozenset(
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


class AwsFailure(RuntimeError):
    """AWS could not be used. `advice` says what was not changed and what to do."""

    advice = "Nothing was changed on AWS by this run. Try again; the change is kept and waits."


class AwsUnreachable(AwsFailure):
    """No answer from AWS."""

    advice = "Nothing was changed on AWS by this run. Check the network and AWS_ENDPOINT_URL, then deploy again."


class CredentialsRefused(AwsFailure):
    """AWS does not know the control plane's credentials, or there are none."""

    advice = "Nothing was changed on AWS by this run. Check AWS_PROFILE or the access key of the worker, then deploy again."


class NotAllowed(AwsFailure):
    """AWS knows the control plane but refuses the call."""

    advice = "Nothing was changed on AWS by this run. Give the worker's identity this right, then deploy again."


@dataclass(frozen=True)
class Observation:
    """A stack as CloudFormation describes it. `status` is empty where there is no such stack."""

    status: str = ""
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def generation(self) -> int:
        """The generation of the manifest that AWS holds; 0 if none."""
        return int(self.outputs.get("Generation", "0")) if self.status else 0

    @property
    def is_complete(self) -> bool:
        """Whether CloudFormation calls the last change of the stack complete."""
        return self.status in COMPLETE


@dataclass(frozen=True)
class FailedResource:
    """The resource that made a change fail, and CloudFormation's reason."""

    logical_id: str
    resource_type: str
    reason: str


def observe(stack_name: str, region: str) -> Observation:
    """Ask CloudFormation for a stack. Raises AwsFailure."""
    with _explained():
        try:
            described = _client(region).describe_stacks(StackName=stack_name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return Observation()
            raise
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    return Observation(status=described["StackStatus"], outputs=outputs)


def first_failure(stack_name: str, region: str, since: datetime) -> FailedResource | None:
    """The first resource that failed since then, which is the one that the others were cancelled for. Raises AwsFailure."""
    failed = None
    with _explained():
        pages = _client(region).get_paginator("describe_stack_events").paginate(StackName=stack_name)
        for page in pages:
            for event in page["StackEvents"]:
                if event["Timestamp"] < since:
                    return failed
                reason = event.get("ResourceStatusReason", "")
                if event.get("ResourceStatus", "").endswith("_FAILED") and "cancelled" not in reason.lower():
                    failed = FailedResource(event.get("LogicalResourceId", ""), event.get("ResourceType", ""), reason)
    return failed


def _client(region: str) -> "CloudFormationClient":
    retries = BotoConfig(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.client("cloudformation", region_name=region, config=retries)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn botocore's errors into ours, which say what to do."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise CredentialsRefused(f"There are no usable AWS credentials: {error}.") from error
    except (AwsConnectionError, HTTPClientError) as error:
        raise AwsUnreachable(f"AWS does not answer: {error}.") from error
    except ClientError as error:
        code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", str(error))
        if code in BAD_CREDENTIALS:
            raise CredentialsRefused(f"AWS refuses the control plane's credentials: {message} ({code}).") from error
        if code.startswith("AccessDenied"):
            raise NotAllowed(f"AWS does not allow it: {message}") from error
        raise AwsFailure(f"CloudFormation answered {code}: {message}") from error
    except BotoCoreError as error:
        raise AwsFailure(f"AWS could not be asked: {error}.") from error
