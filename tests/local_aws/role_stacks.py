"""What the tests of CloudFormation's rights share: roles that it acts with, and stacks that are made by them."""

import json
from itertools import count
from typing import Any

from local_aws.server import EmbeddedAws
from tests.local_aws.helpers import ACCOUNT, EVERYTHING, body_of, client, ended

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ANYBODY_HERE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}],
}
_numbers = count(1)


def allowing(*actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}]}


def all_but(*actions: str) -> dict[str, Any]:
    """Everything, save these."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "NotAction": list(actions), "Resource": "*"}]}


def denying(*actions: str) -> dict[str, Any]:
    denial = {"Effect": "Deny", "Action": list(actions), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [*EVERYTHING["Statement"], denial]}


def role(aws: EmbeddedAws, policy: dict[str, Any], boundary: dict[str, Any] | None = None) -> str:
    """A role that CloudFormation can take, with this policy and boundary. Returns its ARN."""
    iam, name = client(aws, "iam"), f"made-by-{next(_numbers)}"
    bound = {}
    if boundary is not None:
        made = iam.create_policy(PolicyName=f"{name}-boundary", PolicyDocument=json.dumps(boundary))
        bound = {"PermissionsBoundary": made["Policy"]["Arn"]}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), **bound)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=json.dumps(policy))
    return str(arn)


def give(aws: EmbeddedAws, arn: str, policy: dict[str, Any]) -> None:
    """Other rights for a role that there is."""
    client(aws, "iam").put_role_policy(RoleName=arn.rpartition("/")[2], PolicyName="rights", PolicyDocument=json.dumps(policy))


def user(aws: EmbeddedAws, policy: dict[str, Any]) -> tuple[str, str]:
    """A key of a user with this policy."""
    iam, name = client(aws, "iam"), f"somebody-{next(_numbers)}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def session(aws: EmbeddedAws, policy: dict[str, Any]) -> tuple[str, str, str]:
    """A session of a role that may do everything, cut by this policy."""
    iam, name = client(aws, "iam"), f"taken-{next(_numbers)}"
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ANYBODY_HERE))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="everything", PolicyDocument=json.dumps(EVERYTHING))
    sts = client(aws, "sts", *user(aws, EVERYTHING))
    taken = sts.assume_role(RoleArn=arn, RoleSessionName="tests", Policy=json.dumps(policy))["Credentials"]
    return taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"]


def deploy(
    aws: EmbeddedAws, name: str, resources: dict[str, Any], arn: str = "", key: tuple[str, ...] = (ACCOUNT, "root"), **request: Any
) -> dict[str, Any]:
    """Make or change a stack by this role, as whoever holds the key, and return it as it ended."""
    cloudformation = client(aws, "cloudformation", *key)
    exists = any(stack["StackName"] == name for stack in client(aws, "cloudformation").describe_stacks()["Stacks"])
    send = cloudformation.update_stack if exists else cloudformation.create_stack
    by = {"RoleARN": arn} if arn else {}
    send(StackName=name, TemplateBody=body_of(resources), Capabilities=["CAPABILITY_NAMED_IAM"], **by, **request)
    return ended(aws, name)


def delete(aws: EmbeddedAws, name: str, key: tuple[str, ...] = (ACCOUNT, "root"), **request: Any) -> dict[str, Any]:
    """Delete a stack, and return it as it ended."""
    cloudformation = client(aws, "cloudformation")
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    client(aws, "cloudformation", *key).delete_stack(StackName=name, **request)
    return ended(aws, stack)


def reasons(aws: EmbeddedAws, name: str) -> dict[str, str]:
    """Why each resource failed, by its logical id: the last reason that an event gives."""
    events = client(aws, "cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return {
        event["LogicalResourceId"]: event.get("ResourceStatusReason", "")
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED")
    }
