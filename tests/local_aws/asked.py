"""Ask the embedded AWS what was asked of AWS when its answer was recorded, by the names that the recording uses."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Any

from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws
from tests.local_aws.helpers import ACCOUNT, body_of, client, deploy, ended, slowly

TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}], "Version": "2012-10-17"}
ALLOW = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["*"]}]})
PARAMETER = {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "one"}}


@dataclass
class Asked:
    """One embedded AWS, and names that no other question has."""

    aws: EmbeddedAws
    _numbers: Iterator[int] = field(default_factory=count)

    @cached_property
    def s3(self) -> Any:
        return client(self.aws, "s3")

    @cached_property
    def iam(self) -> Any:
        return client(self.aws, "iam")

    @cached_property
    def cloudformation(self) -> Any:
        return client(self.aws, "cloudformation")

    @cached_property
    def secrets(self) -> Any:
        return client(self.aws, "secretsmanager")

    def name(self) -> str:
        return f"asked-{next(self._numbers)}"

    def bucket(self, *, versioned: bool = False) -> str:
        name = self.name()
        self.s3.create_bucket(Bucket=name)
        if versioned:
            self.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name

    def upload(self, bucket: str, key: str, body: bytes = b"part") -> dict[str, Any]:
        """A begun upload with one part: what CompleteMultipartUpload is asked with."""
        upload = self.s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        part = self.s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=body)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        return {"Bucket": bucket, "Key": key, "UploadId": upload, "MultipartUpload": parts}

    def stack(self, name: str = "", **resources: Any) -> dict[str, Any]:
        return deploy(self.aws, name or self.name(), resources or {"MyParameter": PARAMETER})


def no_stack(asked: Asked) -> Any:
    return asked.cloudformation.describe_stacks(StackName="does-not-exist")


def no_events(asked: Asked) -> Any:
    return asked.cloudformation.describe_stack_events(StackName="does-not-exist")


def deleted_stack(asked: Asked) -> Any:
    name = asked.name()
    _deleted(asked, name)
    return asked.cloudformation.describe_stacks(StackName=name)


def deleted_stack_by_id(asked: Asked) -> Any:
    return asked.cloudformation.describe_stacks(StackName=_deleted(asked, asked.name()))["Stacks"][0]


def _deleted(asked: Asked, name: str) -> str:
    stack_id = str(asked.stack(name)["StackId"])
    asked.cloudformation.delete_stack(StackName=name)
    ended(asked.aws, stack_id)
    return stack_id


def no_change(asked: Asked) -> Any:
    name = asked.name()
    asked.stack(name)
    return asked.cloudformation.update_stack(StackName=name, TemplateBody=body_of({"MyParameter": PARAMETER}))


def change_while_deleting(asked: Asked) -> Any:
    stack = asked.stack()
    with slowly(asked.aws, 1.0):
        asked.cloudformation.delete_stack(StackName=stack["StackName"])
        try:
            return _change_set(asked, stack["StackId"], "UPDATE")
        finally:
            ended(asked.aws, stack["StackId"])


def _change_set(asked: Asked, stack: str, kind: str, name: str = "first") -> Any:
    body = body_of({"MyParameter": PARAMETER})
    return asked.cloudformation.create_change_set(StackName=stack, ChangeSetName=name, ChangeSetType=kind, TemplateBody=body)


def no_change_set(asked: Asked) -> Any:
    stack = asked.stack()["StackName"]
    return asked.cloudformation.describe_change_set(StackName=stack, ChangeSetName="no")


def created_stack(asked: Asked) -> Any:
    return _with_parameter(asked, asked.name())


def updated_stack(asked: Asked) -> Any:
    name = asked.name()
    asked.stack(name)
    return asked.stack(name, MyParameter=PARAMETER | {"Properties": {"Type": "String", "Value": "two"}})


def _with_parameter(asked: Asked, name: str) -> Any:
    template = json.loads(body_of({"MyParameter": PARAMETER})) | {"Parameters": {"ApiName": {"Type": "String"}}}
    asked.cloudformation.create_stack(
        StackName=name, TemplateBody=json.dumps(template), Parameters=[{"ParameterKey": "ApiName", "ParameterValue": "x"}]
    )
    return ended(asked.aws, name)


def change_set(asked: Asked) -> Any:
    name = asked.name()
    made = _change_set(asked, name, "CREATE")
    asked.cloudformation.get_waiter("change_set_create_complete").wait(ChangeSetName=made["Id"], WaiterConfig={"Delay": 1})
    return asked.cloudformation.describe_change_set(ChangeSetName=made["Id"])


def unchanged_change_set(asked: Asked) -> Any:
    stack = asked.stack()["StackName"]
    made = _change_set(asked, stack, "UPDATE")
    while True:
        described = asked.cloudformation.describe_change_set(ChangeSetName=made["Id"])
        if not described["Status"].startswith("CREATE_"):
            return described


def held_stack(asked: Asked) -> Any:
    """A stack whose user cannot be deleted, since somebody gave them a key; and its events."""
    user, name = asked.name(), asked.name()
    stack = asked.stack(name, BrokenUser={"Type": "AWS::IAM::User", "Properties": {"UserName": user}})["StackId"]
    asked.iam.create_access_key(UserName=user)
    asked.cloudformation.delete_stack(StackName=name)
    ended(asked.aws, stack)
    return asked.cloudformation.describe_stacks(StackName=stack)


def stack_in_review(asked: Asked) -> Any:
    name = asked.name()
    _change_set(asked, name, "CREATE")
    return asked.cloudformation.describe_stacks(StackName=name)


def refused_stack_events(asked: Asked) -> Any:
    """The events of a stack that could not be made, since the name of its user is taken."""
    stack = asked.stack(BrokenUser={"Type": "AWS::IAM::User", "Properties": {"UserName": _user(asked)}})["StackId"]
    return asked.cloudformation.describe_stack_events(StackName=stack)


def kept_resource(asked: Asked) -> Any:
    name = asked.name()
    stack = asked.stack(name, MyParameter=PARAMETER | {"DeletionPolicy": "Retain"})["StackId"]
    asked.cloudformation.delete_stack(StackName=name)
    ended(asked.aws, stack)
    events = asked.cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    return {"MyParameter": [event for event in events if event["LogicalResourceId"] == "MyParameter"]}


def drifted(asked: Asked) -> Any:
    name, policy = asked.name(), asked.name()
    document = json.loads(ALLOW)
    properties = {"ManagedPolicyName": policy, "PolicyDocument": document}
    stack = asked.stack(name, Policy={"Type": "AWS::IAM::ManagedPolicy", "Properties": properties})["StackName"]
    document["Statement"][0]["Resource"] = ["arn:aws:s3:::other/*"]
    arn = f"arn:aws:iam::{ACCOUNT}:policy/{policy}"
    asked.iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True)
    return asked.cloudformation.detect_stack_resource_drift(StackName=stack, LogicalResourceId="Policy")


def no_user(asked: Asked) -> Any:
    return asked.iam.get_user(UserName="non-existent-user")


def no_policy(asked: Asked) -> Any:
    return asked.iam.get_policy(PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/non-existent-policy")


def attach_no_policy(asked: Asked) -> Any:
    role = _role(asked)
    return asked.iam.attach_role_policy(RoleName=role, PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/no123")


def _role(asked: Asked) -> str:
    name = asked.name()
    asked.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    return name


def bad_policy(asked: Asked) -> Any:
    return asked.iam.create_role(RoleName=asked.name(), AssumeRolePolicyDocument='{"Statement": "no"')


def user_policy(asked: Asked) -> Any:
    user = asked.name()
    asked.iam.create_user(UserName=user)
    asked.iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=ALLOW)
    return asked.iam.get_user_policy(UserName=user, PolicyName="own")


def assume(asked: Asked) -> Any:
    role = _role(asked)
    user = asked.name()
    asked.iam.create_user(UserName=user)
    may = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}]}
    asked.iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=json.dumps(may))
    key = asked.iam.create_access_key(UserName=user)["AccessKey"]
    sts = client(asked.aws, "sts", key["AccessKeyId"], key["SecretAccessKey"])
    return sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="session")


def no_secret(asked: Asked) -> Any:
    return asked.secrets.get_secret_value(SecretId="no-such-secret")


def secret_taken(asked: Asked) -> Any:
    name = asked.name()
    asked.secrets.create_secret(Name=name, SecretString="1")
    return asked.secrets.create_secret(Name=name, SecretString="2")


def secret_waits(asked: Asked) -> Any:
    return asked.secrets.create_secret(Name=_waiting_secret(asked), SecretString="2")


def deleted_secret(asked: Asked) -> Any:
    return asked.secrets.describe_secret(SecretId=_waiting_secret(asked))


def _waiting_secret(asked: Asked) -> str:
    name = asked.name()
    asked.secrets.create_secret(Name=name, SecretString="1")
    asked.secrets.delete_secret(SecretId=name, RecoveryWindowInDays=7)
    return name


def no_parameter(asked: Asked) -> Any:
    return client(asked.aws, "ssm").get_parameter(Name="/no/such/parameter")


def _user(asked: Asked) -> str:
    name = asked.name()
    asked.iam.create_user(UserName=name)
    return name


@contextmanager
def refusal() -> Iterator[list[ClientError]]:
    """Collects the refusal that the block meets."""
    caught: list[ClientError] = []
    try:
        yield caught
    except ClientError as error:
        caught.append(error)


def answer(ask: Callable[[Asked], Any], asked: Asked) -> Any:
    """The answer, or the refusal as botocore gives it."""
    with refusal() as caught:
        return ask(asked)
    return caught[0]
