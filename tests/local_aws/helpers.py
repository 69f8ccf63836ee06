"""What the tests of the embedded AWS share: clients, and stacks that are waited for."""

import json
import time
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws
from tests.clients import make_client

ACCOUNT = "111122223333"
SECONDS = 30.0
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
S3_ONLY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


def client(
    aws: EmbeddedAws, service: str, key: str = ACCOUNT, secret: str = "root", token: str | None = None, **options: Any
) -> Any:
    return make_client(
        service,
        endpoint_url=aws.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        **options,
    )


def crc(body: bytes) -> str:
    """The CRC-32 of an object as S3 writes it."""
    return b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def body_of(resources: dict[str, Any], outputs: dict[str, Any] | None = None) -> str:
    return json.dumps({"Resources": resources, **({"Outputs": outputs} if outputs else {})})


def start(aws: EmbeddedAws, name: str, body: str, **request: Any) -> None:
    """Begin to create or update a stack."""
    cloudformation = client(aws, "cloudformation")
    exists = any(stack["StackName"] == name for stack in cloudformation.describe_stacks()["Stacks"])
    send = cloudformation.update_stack if exists else cloudformation.create_stack
    send(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"], **request)


def ended(aws: EmbeddedAws, name: str) -> dict[str, Any]:
    """The stack as it is once nothing is done to it any more."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        (stack,) = client(aws, "cloudformation").describe_stacks(StackName=name)["Stacks"]
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            return stack  # type: ignore[no-any-return]
        time.sleep(0.01)
    raise AssertionError(f"{name} is still {stack['StackStatus']}")


def deploy(aws: EmbeddedAws, name: str, resources: dict[str, Any], outputs: dict[str, Any] | None = None) -> dict[str, Any]:
    """Create or update a stack and return it as it ended."""
    start(aws, name, body_of(resources, outputs))
    return ended(aws, name)


def states(aws: EmbeddedAws, name: str) -> list[tuple[str, str]]:
    """Every (logical id, status) that the stack's events tell, oldest first."""
    events = client(aws, "cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return [(event["LogicalResourceId"], event["ResourceStatus"]) for event in reversed(events)]


def wait_for(aws: EmbeddedAws, name: str, logical_id: str, status: str) -> None:
    """Wait until the stack's events tell this of a resource."""
    deadline = time.monotonic() + SECONDS
    while (logical_id, status) not in states(aws, name):
        assert time.monotonic() < deadline, f"{logical_id} did not become {status}"
        time.sleep(0.01)


@contextmanager
def slowly(aws: EmbeddedAws, seconds: float) -> Iterator[None]:
    """CloudFormation takes this long over each resource."""
    aws.set_pace(seconds)
    try:
        yield
    finally:
        aws.set_pace(0)


def key_holder(name: str, serial: int = 1, **user: Any) -> dict[str, Any]:
    return {
        "Group": {"Type": "AWS::IAM::Group", "Properties": {"GroupName": f"{name}-group", "Path": "/t/"}},
        "User": {
            "Type": "AWS::IAM::User",
            "Properties": {"UserName": name, "Path": "/t/", "Groups": [{"Ref": "Group"}], **user},
        },
        "Key": {"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": {"Ref": "User"}, "Serial": serial}},
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"Name": f"t/{name}", "SecretString": {"Fn::GetAtt": ["Key", "SecretAccessKey"]}},
        },
    }


def held_key(aws: EmbeddedAws, name: str) -> tuple[str, str]:
    (key,) = client(aws, "iam").list_access_keys(UserName=name)["AccessKeyMetadata"]
    return key["AccessKeyId"], client(aws, "secretsmanager").get_secret_value(SecretId=f"t/{name}")["SecretString"]


def works(aws: EmbeddedAws, key: tuple[str, str]) -> bool:
    try:
        client(aws, "sts", *key).get_caller_identity()
    except ClientError:
        return False
    return True
