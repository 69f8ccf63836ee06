"""IAM's simulator and EC2's offerings, as AWS answers them.

IAM API reference, "SimulatePrincipalPolicy"; EC2 API reference, "DescribeInstanceTypeOfferings".
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import ACCOUNT, EVERYTHING, S3_ONLY, client
from tests.local_aws.role_stacks import TRUST, allowing, denying, role, user

BUCKET = "arn:aws:s3:::bucket"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def simulate(aws: EmbeddedAws, arn: str, *actions: str, resources: tuple[str, ...] = (BUCKET,), **context: str) -> list[str]:
    entries = [
        {"ContextKeyName": name.replace("_", ":"), "ContextKeyValues": [value], "ContextKeyType": "string"}
        for name, value in context.items()
    ]
    answer = client(aws, "iam").simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=list(actions), ResourceArns=list(resources), ContextEntries=entries
    )
    return [result["EvalDecision"] for result in answer["EvaluationResults"]]


def test_the_simulator_tells_allowed_from_denied_and_from_not_allowed(aws: EmbeddedAws) -> None:
    arn = role(aws, denying("s3:DeleteObject"))
    assert simulate(aws, arn, "s3:PutObject", "s3:DeleteObject") == ["allowed", "explicitDeny"]
    assert simulate(aws, role(aws, S3_ONLY), "iam:CreateUser", resources=("*",)) == ["implicitDeny"]


def test_the_simulator_counts_the_boundary(aws: EmbeddedAws) -> None:
    assert simulate(aws, role(aws, EVERYTHING, boundary=S3_ONLY), "s3:PutObject", "iam:CreateUser") == ["allowed", "implicitDeny"]


def test_the_simulator_finds_a_role_with_a_path(aws: EmbeddedAws) -> None:
    iam = client(aws, "iam")
    arn = iam.create_role(Path="/cohort-host/", RoleName="pathed", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="pathed", PolicyName="rights", PolicyDocument=json.dumps(S3_ONLY))
    assert simulate(aws, arn, "s3:PutObject") == ["allowed"]


def test_the_simulator_takes_the_condition_keys_that_are_asked_about(aws: EmbeddedAws) -> None:
    passing = allowing("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}})
    arn = role(aws, passing)
    assert simulate(aws, arn, "iam:PassRole", iam_PassedToService="cloudformation.amazonaws.com") == ["allowed"]
    assert simulate(aws, arn, "iam:PassRole", iam_PassedToService="ec2.amazonaws.com") == ["implicitDeny"]
    assert simulate(aws, arn, "iam:PassRole") == ["implicitDeny"]


def test_the_simulator_answers_for_each_resource(aws: EmbeddedAws) -> None:
    arn = role(aws, allowing("s3:PutObject", resource=BUCKET))
    assert simulate(aws, arn, "s3:PutObject", resources=(BUCKET, "arn:aws:s3:::other")) == ["allowed", "implicitDeny"]


def test_the_simulator_does_not_know_who_is_not_there(aws: EmbeddedAws) -> None:
    with pytest.raises(ClientError) as error:
        simulate(aws, f"arn:aws:iam::{ACCOUNT}:role/nobody", "s3:PutObject")
    assert error.value.response["Error"]["Code"] == "NoSuchEntity"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_the_simulator_is_for_whoever_may_ask_it(aws: EmbeddedAws) -> None:
    asking: Any = client(aws, "iam", *user(aws, S3_ONLY))
    with pytest.raises(ClientError, match="AccessDenied"):
        asking.simulate_principal_policy(PolicySourceArn=role(aws, S3_ONLY), ActionNames=["s3:PutObject"])


def test_the_hosts_types_are_offered_in_every_zone(aws: EmbeddedAws) -> None:
    ec2 = client(aws, "ec2")
    zones = {zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}

    def offered(kind: str) -> set[str]:
        filters = [{"Name": "instance-type", "Values": [kind]}]
        found = ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=filters)
        return {offering["Location"] for offering in found["InstanceTypeOfferings"]}

    assert offered("t4g.small") == zones
    assert offered("x0.none") == set()
