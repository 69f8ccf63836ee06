"""What lasts, deployed: a first creation that fails and its retry, a site that exists, and what a tear-down leaves."""

import json
from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from stacks import names
from stacks.group.storage_stack import StorageStack
from stacks.site.backup_stack import BackupStack
from tests.local_aws.helpers import client, ended
from tests.stacks.builders import ACCOUNT, REGION, platform_manifest, site

STATE = f"cohort-state-{ACCOUNT}-{REGION}"
BUCKETS = {"Cohort-Backup": STATE, "Cohort-Storage": "cohort-ephys"}
# What held nothing before, and what every kept resource carries now.
GUARDS = {"AWS::KMS::Alias", "AWS::S3::BucketPolicy"}


@pytest.fixture(scope="module")
def templates() -> dict[str, dict[str, Any]]:
    app = cdk.App(analytics_reporting=False)
    stacks = {"Cohort-Backup": BackupStack(app, site()), "Cohort-Storage": StorageStack(app, platform_manifest())}
    return {name: dict(Template.from_stack(stack).to_json()) for name, stack in stacks.items()}


@pytest.fixture
def aws(tmp_path: Any) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path / "aws") as running:
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        client(running, "iam").create_policy(PolicyName=names.HOST_BOUNDARY_NAME, PolicyDocument=json.dumps(policy))
        client(running, "ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
        yield running


def deploy(aws: EmbeddedAws, name: str, template: dict[str, Any], kind: str = "CREATE") -> list[dict[str, Any]]:
    """Deploy by a change set, as CDK does, and return its changes."""
    cloudformation, change_set = client(aws, "cloudformation"), {"StackName": name, "ChangeSetName": f"cdk-{kind.lower()}"}
    body = json.dumps(template)
    cloudformation.create_change_set(TemplateBody=body, ChangeSetType=kind, Capabilities=["CAPABILITY_NAMED_IAM"], **change_set)
    changes = cloudformation.describe_change_set(**change_set)["Changes"]
    cloudformation.execute_change_set(**change_set)
    return [change["ResourceChange"] for change in changes]


def failing(template: dict[str, Any]) -> dict[str, Any]:
    """The template with something that cannot be made once all else is there."""
    taken = {"Type": "AWS::IAM::User", "DependsOn": list(template["Resources"]), "Properties": {"UserName": "taken"}}
    return {**template, "Resources": {**template["Resources"], "Fails": taken}}


def as_before(template: dict[str, Any]) -> dict[str, Any]:
    """The template as it was when everything was kept by Retain, and buckets' policies and the key's alias by nothing."""
    before = json.loads(json.dumps(template))
    for resource in before["Resources"].values():
        if "kept" not in resource.get("Metadata", {}):
            continue
        del resource["Metadata"]["kept"]
        resource["DeletionPolicy"] = "Retain"
        if resource["Type"] in GUARDS:
            del resource["DeletionPolicy"], resource["UpdateReplacePolicy"]
    return before  # type: ignore[no-any-return]


def physical(aws: EmbeddedAws, name: str) -> dict[str, str]:
    held = client(aws, "cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in held}


@pytest.mark.parametrize("name", BUCKETS)
def test_a_first_creation_that_fails_leaves_nothing_in_the_way_and_the_retry_succeeds(
    aws: EmbeddedAws, templates: dict[str, dict[str, Any]], name: str
) -> None:
    """The retry is CDK's and the control plane's own: what is ROLLBACK_COMPLETE is deleted, and made again."""
    client(aws, "iam").create_user(UserName="taken")
    deploy(aws, name, failing(templates[name]))
    assert ended(aws, name)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert client(aws, "s3").list_buckets()["Buckets"] == []
    # CloudFormation may remove no volume and no key; having no name, they are in nobody's way.
    left = len(client(aws, "ec2").describe_volumes()["Volumes"])
    assert client(aws, "logs").describe_log_groups()["logGroups"] == []
    assert client(aws, "secretsmanager").list_secrets()["SecretList"] == []
    client(aws, "cloudformation").delete_stack(StackName=name)
    deploy(aws, name, templates[name])
    assert ended(aws, name)["StackStatus"] == "CREATE_COMPLETE"
    assert len(client(aws, "ec2").describe_volumes()["Volumes"]) == 2 * left


@pytest.mark.parametrize("name", BUCKETS)
def test_a_site_that_exists_is_upgraded_in_place_and_its_tear_down_leaves_guarded_buckets(
    aws: EmbeddedAws, templates: dict[str, dict[str, Any]], name: str
) -> None:
    deploy(aws, name, as_before(templates[name]))
    assert ended(aws, name)["StackStatus"] == "CREATE_COMPLETE"
    before = physical(aws, name)
    changes = deploy(aws, name, templates[name], "UPDATE")
    assert {change["Action"] for change in changes} == {"Modify"}
    # What refers to a changed resource is told as one that might be replaced, until it turns out that nothing it uses has changed.
    assert "True" not in {change["Replacement"] for change in changes}
    assert {"Metadata"} <= {scope for change in changes for scope in change["Scope"]}, "AWS takes no other deletion policy alone"
    assert ended(aws, name)["StackStatus"] == "UPDATE_COMPLETE"
    assert physical(aws, name) == before

    client(aws, "cloudformation").delete_stack(StackName=name)
    s3 = client(aws, "s3")
    for bucket in (item["Name"] for item in s3.list_buckets()["Buckets"]):
        (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    if name == "Cohort-Backup":
        key = client(aws, "kms").describe_key(KeyId="alias/cohort-backups")["KeyMetadata"]
        assert key["KeyId"] in before.values()
        with pytest.raises(ClientError):
            client(aws, "iam").get_role(RoleName="cohort-backup")


def test_beside_what_a_tear_down_kept_another_stack_cannot_be_made(aws: EmbeddedAws, templates: dict[str, dict[str, Any]]) -> None:
    """As docs/operations.md says at the end of step 8: nothing that holds data is taken over without being asked for."""
    name = "Cohort-Backup"
    deploy(aws, name, templates[name])
    ended(aws, name)
    kept = set(physical(aws, name).values())
    client(aws, "cloudformation").delete_stack(StackName=name)
    cloudformation, again = client(aws, "cloudformation"), {"StackName": name, "ChangeSetName": "again"}
    cloudformation.create_change_set(
        TemplateBody=json.dumps(templates[name]), ChangeSetType="CREATE", Capabilities=["CAPABILITY_NAMED_IAM"], **again
    )
    # CloudFormation's early validation sees the buckets' names, before anything is made.
    assert cloudformation.describe_change_set(**again)["Status"] == "FAILED"
    assert {bucket["Name"] for bucket in client(aws, "s3").list_buckets()["Buckets"]} <= kept
    assert client(aws, "s3").get_bucket_policy(Bucket=STATE)["Policy"]
