"""Cohort-Bootstrap in an account where somebody else has one of its names."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from local_aws.server import EmbeddedAws, free_port
from stacks import bootstrap, names
from tests.clients import make_client
from tests.stacks.builders import ACCOUNT, REGION

ANY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def client(aws: EmbeddedAws, service: str, region: str = REGION) -> Any:
    return make_client(
        service, endpoint_url=aws.endpoint, region_name=region, aws_access_key_id=ACCOUNT, aws_secret_access_key="root"
    )


def hold_the_boundary(aws: EmbeddedAws, stack: str, region: str) -> None:
    """As an older Cohort did in its platform stack, or as the site of another region does."""
    properties = {"ManagedPolicyName": names.BOUNDARY_NAME, "PolicyDocument": ANY}
    body = json.dumps({"Resources": {"Boundary": {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}}})
    cloudformation = client(aws, "cloudformation", region=region)
    cloudformation.create_stack(StackName=stack, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})


@pytest.mark.parametrize(
    ("stack", "region", "told"),
    [
        ("Cohort-Storage", REGION, "held by Cohort-Storage in us-east-1. An older Cohort made it there"),
        (
            "Cohort-Bootstrap",
            "eu-west-1",
            "held by Cohort-Bootstrap in eu-west-1. So this account has a site of Cohort in eu-west-1",
        ),
        ("Theirs", "eu-west-1", "held by Theirs in eu-west-1. That stack is none of Cohort's"),
        ("", REGION, "no stack of any region holds it"),
    ],
)
def test_whose_stack_holds_a_name_that_is_taken_is_told(aws: EmbeddedAws, stack: str, region: str, told: str) -> None:
    """IAM user guide, "IAM and STS quotas": names are unique within the account, in whatever region somebody works."""
    arn = names.boundary_arn(ACCOUNT, REGION)
    iam, cloudformation = client(aws, "iam"), client(aws, "cloudformation", region=region)
    if stack:
        hold_the_boundary(aws, stack, region)
    else:
        iam.create_policy(PolicyName=names.BOUNDARY_NAME, PolicyDocument=json.dumps(ANY))
    with pytest.raises(bootstrap.BootstrapFailed) as failed:
        bootstrap.deploy(boto3.Session(ACCOUNT, "root"), REGION, ["cohort-*"], endpoint=aws.endpoint)
    assert told in str(failed.value)
    assert str(failed.value).endswith("Nothing was changed.")
    assert ("older Cohort" in str(failed.value)) is (stack == "Cohort-Storage")
    made = {item["StackName"] for item in client(aws, "cloudformation").describe_stacks()["Stacks"]}
    assert names.BOOTSTRAP_STACK not in made
    if stack:
        cloudformation.delete_stack(StackName=stack)
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    else:
        iam.delete_policy(PolicyArn=arn)
