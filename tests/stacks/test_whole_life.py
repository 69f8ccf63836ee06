"""A site's whole life under CloudFormation's own rights: a first deployment that fails half-way, its retry, a restore, the end.

docs/operations.md, steps 3, 7 and 8. CDK's execution role has the policies of Cohort-Bootstrap and no other right.
"""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import boto3
import pytest

from local_aws.server import EmbeddedAws, free_port
from stacks import bootstrap, names
from stacks.group.group_stack import GroupStack
from stacks.group.storage_stack import StorageStack
from stacks.manifest import Member
from stacks.site.host_policies import DEFAULT_PATTERNS
from tests.local_aws.helpers import client, ended
from tests.stacks.builders import ACCOUNT, ADA, LISE, REGION, group_manifest, platform_manifest
from tests.stacks.test_host_templates import host_stack
from tests.stacks.test_lasting import failing
from tests.stacks.test_upgrade import ASSETS, NESTED, STACKS, Template, execution_role, failures, held, publish

_numbers = count(1)


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[EmbeddedAws]:
    """An account after `stacks.bootstrap deploy` and `cdk bootstrap`."""
    with EmbeddedAws(free_port(), tmp_path / "aws") as running:
        client(running, "s3").create_bucket(Bucket=ASSETS)
        client(running, "ssm").put_parameter(Name=names.cdk_version_parameter(), Value="30", Type="String")
        root = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="root")
        bootstrap.deploy(root, REGION, DEFAULT_PATTERNS, endpoint=running.endpoint)
        yield running


def synthesised(folder: Path, **settings: Any) -> dict[str, Template]:
    """Every stack's template, of a site with these settings."""
    app = cdk.App(analytics_reporting=False, outdir=str(folder))
    host_stack(app, **settings)
    StorageStack(app, platform_manifest())
    GroupStack(app, group_manifest(members=(Member(username=ADA, access="keys"), Member(username=LISE, access="keys", part=1))))
    assembly = app.synth()
    (nested,) = folder.glob("*.nested.template.json")
    return {stack.stack_name: dict(stack.template) for stack in assembly.stacks} | {NESTED: json.loads(nested.read_text())}


def deploy(aws: EmbeddedAws, name: str, template: Template, role: str, kind: str = "CREATE") -> str:
    """Deploy by a change set, as CDK does, and return the state that it ended in."""
    cloudformation, change_set = client(aws, "cloudformation"), {"StackName": name, "ChangeSetName": f"cdk-{next(_numbers)}"}
    cloudformation.create_change_set(
        TemplateBody=json.dumps(template), ChangeSetType=kind, Capabilities=["CAPABILITY_NAMED_IAM"], RoleARN=role, **change_set
    )
    described = cloudformation.describe_change_set(**change_set)
    assert described["Status"] == "CREATE_COMPLETE", described.get("StatusReason")
    cloudformation.execute_change_set(**change_set)
    return str(ended(aws, name)["StackStatus"])


def delete(aws: EmbeddedAws, name: str) -> None:
    """Remove a stack, which acts by the role that it was last given."""
    cloudformation = client(aws, "cloudformation")
    stack_id = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=name)
    assert ended(aws, stack_id)["StackStatus"] == "DELETE_COMPLETE", failures(aws, stack_id)


def test_a_site_is_made_at_the_second_try_restored_and_taken_down_by_cloudformation_s_own_rights(
    aws: EmbeddedAws, tmp_path: Path
) -> None:
    role, templates = execution_role(aws), synthesised(tmp_path / "first")
    client(aws, "iam").create_user(UserName="taken")
    for name in STACKS:
        publish(aws, templates[name], templates[NESTED])
        # The last resource cannot be made: everything before it is taken back, by the same rights.
        assert deploy(aws, name, failing(templates[name]), role) == "ROLLBACK_COMPLETE", failures(aws, name)
        delete(aws, name)
        assert deploy(aws, name, templates[name], role) == "CREATE_COMPLETE", failures(aws, name)

    # The volume is lost: another one from a snapshot, which AWS Backup gives the volume's tags, and the host anew beside it.
    ec2, volume = client(aws, "ec2"), held(aws, "Cohort-Backup")["DataVolume"]
    tags = [{"Key": "project", "Value": names.PROJECT}]
    snapshot = ec2.create_snapshot(VolumeId=volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}])["SnapshotId"]
    restored = synthesised(tmp_path / "restored", data_snapshot=snapshot)
    delete(aws, "Cohort-Host")
    assert deploy(aws, "Cohort-Backup", restored["Cohort-Backup"], role, "UPDATE") == "UPDATE_COMPLETE"
    assert deploy(aws, "Cohort-Host", restored["Cohort-Host"], role) == "CREATE_COMPLETE", failures(aws, "Cohort-Host")
    made = [item for item in ec2.describe_volumes()["Volumes"] if item.get("SnapshotId") == snapshot]
    assert len(made) == 1
    assert volume in {item["VolumeId"] for item in ec2.describe_volumes()["Volumes"]}, "the old volume is kept"

    for name in ("Cohort-Host", "Group-example-lab", "Cohort-Storage", "Cohort-Backup"):
        delete(aws, name)
    left = {user["UserName"] for user in client(aws, "iam").list_users()["Users"]}
    assert left == {"taken"}
