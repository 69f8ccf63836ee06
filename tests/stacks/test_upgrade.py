"""A site of an older Cohort, whose templates as synthesised are in `tests/data/older-site`, is brought up to date.

As docs/operations.md says under "Upgrade": the bounds first, then everything else, under CloudFormation's own rights.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import boto3
import pytest

from local_aws.identity import CONTROL_PLANE_USER, control_plane_policy, create_identity
from local_aws.server import EmbeddedAws, free_port
from stacks import bootstrap, names
from stacks.group.group_stack import GroupStack
from stacks.group.storage_stack import StorageStack
from stacks.manifest import Member
from stacks.site.host_policies import DEFAULT_PATTERNS
from tests.local_aws.helpers import client, ended
from tests.local_aws.role_stacks import TRUST
from tests.stacks.builders import ACCOUNT, ADA, GRACE, LISE, REGION, group_manifest, platform_manifest
from tests.stacks.test_host_templates import host_stack

OLDER = Path(__file__).resolve().parents[1] / "data/older-site"
STACKS = ("Cohort-Backup", "Cohort-Storage", "Cohort-Host", "Group-example-lab")
ASSETS = names.cdk_assets(ACCOUNT, REGION)
NESTED = "Group-example-lab-nested"
Template = dict[str, Any]


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """What this checkout synthesises from the same settings and manifests."""
    app = cdk.App(analytics_reporting=False, outdir=str(tmp_path_factory.mktemp("assembly")))
    host_stack(app)
    StorageStack(app, platform_manifest())
    members = (
        Member(username=ADA, access="keys"),
        Member(username=GRACE, access="federated"),
        Member(username=LISE, access="keys", part=1),
    )
    GroupStack(app, group_manifest(members=members))
    assembly = app.synth()
    found = {stack.stack_name: dict(stack.template) for stack in assembly.stacks}
    (nested,) = Path(assembly.directory).glob("*.nested.template.json")
    return found | {NESTED: json.loads(nested.read_text())}


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[EmbeddedAws]:
    """An account with the older site in it. Its own author's AWS asked no role for rights, so its root deployed it."""
    with EmbeddedAws(free_port(), tmp_path / "aws") as running:
        client(running, "s3").create_bucket(Bucket=ASSETS)
        client(running, "ssm").put_parameter(Name=names.cdk_version_parameter(), Value="30", Type="String")
        older = {path.stem: json.loads(path.read_text()) for path in OLDER.glob("*.json")}
        make(running, "Cohort-Bootstrap", older["Cohort-Bootstrap"])
        for name in STACKS:
            publish(running, older[name], older[NESTED])
            make(running, name, older[name])
        yield running


def make(aws: EmbeddedAws, name: str, template: Template) -> None:
    request = {"StackName": name, "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    client(aws, "cloudformation").create_stack(TemplateBody=json.dumps(template), **request)
    assert ended(aws, name)["StackStatus"] == "CREATE_COMPLETE", name


def publish(aws: EmbeddedAws, template: Template, nested: Template) -> None:
    """Put a nested stack's template where its parent looks for it."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::CloudFormation::Stack":
            key = resource["Properties"]["TemplateURL"]["Fn::Join"][1][-1].rpartition("/")[2]
            client(aws, "s3").put_object(Bucket=ASSETS, Key=key, Body=json.dumps(nested).encode())


def execution_role(aws: EmbeddedAws) -> str:
    """CDK's own, as `cdk bootstrap --cloudformation-execution-policies` made it when the site was."""
    iam, name = client(aws, "iam"), names.cdk_role_arn(ACCOUNT, REGION, "cfn-exec-role").rpartition("/")[2]
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    for policy in bootstrap.execution_arns(ACCOUNT, REGION).split(","):
        iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    return str(arn)


def update(aws: EmbeddedAws, name: str, template: Template, role: str) -> list[dict[str, Any]]:
    """Bring a stack up to date by a change set, as CDK does, and return its changes."""
    cloudformation, change_set = client(aws, "cloudformation"), {"StackName": name, "ChangeSetName": "cdk-upgrade"}
    body, more = json.dumps(template), {"Capabilities": ["CAPABILITY_NAMED_IAM"], "RoleARN": role}
    cloudformation.create_change_set(TemplateBody=body, ChangeSetType="UPDATE", **more, **change_set)
    described = cloudformation.describe_change_set(**change_set)
    assert described["Status"] == "CREATE_COMPLETE", (name, described.get("StatusReason"))
    cloudformation.execute_change_set(**change_set)
    assert ended(aws, name)["StackStatus"] == "UPDATE_COMPLETE", (name, failures(aws, name))
    return [change["ResourceChange"] for change in described["Changes"]]


def failures(aws: EmbeddedAws, name: str) -> list[str]:
    events = client(aws, "cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
        for event in events
        if "FAILED" in event["ResourceStatus"]
    ]


def held(aws: EmbeddedAws, name: str) -> dict[str, str]:
    resources = client(aws, "cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    found = {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources}
    for resource in resources:
        if resource["ResourceType"] == "AWS::CloudFormation::Stack":
            found |= held(aws, resource["PhysicalResourceId"])
    return found


class Person:
    """Somebody with credentials from before the upgrade, who reads and writes their group's folder."""

    def __init__(self, aws: EmbeddedAws, *credentials: str) -> None:
        self._s3 = client(aws, "s3", *credentials)

    def works(self) -> None:
        self._s3.put_object(Bucket="cohort-ephys", Key="example-lab/inputs/recording", Body=b"1")
        assert self._s3.get_object(Bucket="cohort-ephys", Key="example-lab/inputs/recording")["Body"].read() == b"1"
        assert self._s3.list_objects_v2(Bucket="cohort-ephys", Prefix="example-lab/")["KeyCount"] == 1


def people_of(aws: EmbeddedAws) -> list[Person]:
    """A holder of a key in the group's stack, one in its nested stack, and a member with a session."""
    found = []
    for username in (ADA, LISE):
        secret = client(aws, "secretsmanager").get_secret_value(SecretId=names.secret("example-lab", username))["SecretString"]
        key = json.loads(secret)
        found.append(Person(aws, key["AccessKeyId"], key["SecretAccessKey"]))
    own = create_identity(aws.endpoint, ACCOUNT, REGION, CONTROL_PLANE_USER, control_plane_policy(ACCOUNT, REGION))
    role = names.role_arn(ACCOUNT, REGION, "example-lab")
    session = client(aws, "sts", *own).assume_role(RoleArn=role, RoleSessionName=GRACE)["Credentials"]
    return [*found, Person(aws, session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])]


def test_an_older_site_is_brought_up_to_date_with_nothing_replaced_and_nobody_shut_out(
    aws: EmbeddedAws, newer: dict[str, Template]
) -> None:
    role, people = execution_role(aws), people_of(aws)
    before = {name: held(aws, name) for name in STACKS}
    for person in people:
        person.works()

    root = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="root")
    assert bootstrap.deploy(root, REGION, DEFAULT_PATTERNS, endpoint=aws.endpoint)
    for person in people:
        person.works()

    for name in STACKS:
        publish(aws, newer[name], newer[NESTED])
        changes = update(aws, name, newer[name], role)
        assert [change["LogicalResourceId"] for change in changes if change.get("Replacement") == "True"] == []
        assert {change["Action"] for change in changes} <= {"Add", "Modify"}
        for person in people:
            person.works()

    after = {name: held(aws, name) for name in STACKS}
    # What is new may come; what was there is the same thing.
    assert {name: sorted(before[name].items() - after[name].items()) for name in STACKS} == {name: [] for name in STACKS}
