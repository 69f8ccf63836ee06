"""The tables of CloudFormation's rights: what they hold of each type that our templates use, and what they may not leave out."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

from local_aws.rights import actions, resources, unneeded
from local_aws.rights.changes import AccountFacts, Change, Operation, Scope
from stacks.group.group_stack import GroupStack
from stacks.group.storage_stack import StorageStack
from stacks.manifest import Member
from stacks.site.assembly import add_site
from tests.stacks.builders import ADA, GRACE, LISE, group_manifest, platform_manifest, site

OPERATIONS: tuple[Operation, ...] = ("create", "read", "update", "delete")
EXECUTION = "arn:aws:iam::111122223333:role/cdk-hnb659fds-cfn-exec-role-111122223333-us-east-1"
PLACE = Scope("111122223333", "us-east-1", EXECUTION)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, dict[str, Any]]]:
    """Every resource of every template, by its type: a group with a nested part, storage, backups, and the host in both forms."""
    folder = tmp_path_factory.mktemp("templates")
    members = (Member(username=ADA, access="keys"), Member(username=GRACE, access="keys", part=1))
    app = cdk.App(analytics_reporting=False, outdir=str(folder / "groups"))
    GroupStack(app, group_manifest(members=members, revoked=(LISE,), sessions_not_before=1_700_000_000))
    StorageStack(app, platform_manifest())
    app.synth()
    for tls in ("certbot", "acm"):
        app = cdk.App(analytics_reporting=False, outdir=str(folder / tls))
        add_site(app, site(tls=tls))
        app.synth()
    found = [json.loads(path.read_text())["Resources"].values() for path in sorted(Path(folder).glob("*/*.template.json"))]
    return [(resource["Type"], resource.get("Properties", {})) for template in found for resource in template]


def change(kind: str, operation: Operation, properties: dict[str, Any], **more: Any) -> Change:
    return Change(kind, operation, PLACE, properties, stack="Stack", logical_id="Thing", **more)


def test_each_type_of_ours_has_its_actions(ours: list[tuple[str, dict[str, Any]]]) -> None:
    records = {"AWS::CloudFormation::WaitConditionHandle", "AWS::CDK::Metadata"}
    assert {kind for kind, _ in ours} - records == {kind for kind, _ in ours if actions.listed_actions(kind, "create")}


def test_no_action_is_left_out_that_a_property_of_ours_needs(ours: list[tuple[str, dict[str, Any]]]) -> None:
    """An action that only some properties lead to is asked for wherever a template of ours has one of those properties."""
    for kind, properties in ours:
        listed = actions.listed_actions(kind, "create")
        needed = actions.needed_actions(change(kind, "create", properties))
        for action, rule in unneeded.UNNEEDED.get(kind, {}).items():
            is_carried = (kind, "create", action) in unneeded.CARRIED
            if isinstance(rule, tuple) and action in listed and not is_carried and any(properties.get(name) for name in rule):
                assert action in needed, (kind, action)


def test_every_rule_names_an_action_of_the_schema_and_properties_that_the_type_has() -> None:
    for kind, rules in unneeded.UNNEEDED.items():
        listed = {action for operation in OPERATIONS for action in actions.listed_actions(kind, operation)}
        assert rules.keys() <= listed, kind
        known = {"Status"} if kind in actions.WRITTEN else set(actions.schema(kind)["properties"])
        named = {name for rule in rules.values() if isinstance(rule, tuple) for name in rule}
        assert named <= known, kind


def test_an_action_that_is_left_out_altogether_sets_no_property_of_ours(ours: list[tuple[str, dict[str, Any]]]) -> None:
    """A reason alone leaves nothing out that is named after a property that a template of ours has."""
    for kind, rules in unneeded.UNNEEDED.items():
        used = {name.lower() for one, properties in ours if one == kind for name in properties}
        for action, rule in rules.items():
            if isinstance(rule, str) and rule != unneeded.NO_SUCH_ACTION:
                assert rule.endswith("."), (kind, action)
                assert not [name for name in used if name in action.lower()], (kind, action)


def test_reading_asks_for_the_whole_handler_whatever_a_template_says() -> None:
    """CloudFormation reads every property of a bucket: without one of these rights drift detection fails."""
    asked = {check.action for check in resources.all_checks(change("AWS::S3::Bucket", "read", {}, physical_id="cohort-one"))}
    assert {"s3:GetInventoryConfiguration", "s3:GetReplicationConfiguration", "s3:ListTagsForResource"} <= asked


def test_machines_are_asked_for_on_every_part_of_them() -> None:
    """Service Authorization Reference, EC2, RunInstances: what it requires, and the launch template and volume that ours has."""

    class Templates(AccountFacts):
        def launch_template(self, wanted: Any) -> Any:
            return {
                "ImageId": "ami-1",
                "InstanceType": "t4g.small",
                "NetworkInterfaces": [{"Groups": ["sg-1"]}],
                "IamInstanceProfile": {"Arn": "arn:aws:iam::111122223333:instance-profile/cohort-host/cohort-host"},
                "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "project", "Value": "cohort"}]}],
            }

        def role_of_profile(self, arn: str) -> str:
            return "arn:aws:iam::111122223333:role/cohort-host/cohort-host"

    place = Scope("111122223333", "us-east-1", EXECUTION, Templates())
    properties = {"LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "1"}, "VPCZoneIdentifier": ["subnet-1"]}
    asked = resources.all_checks(
        Change("AWS::AutoScaling::AutoScalingGroup", "create", place, properties, stack="S", logical_id="G")
    )
    machines = {call.resource.split(":", 5)[5]: call.context for call in asked if call.action == "ec2:RunInstances"}
    assert machines.keys() == {
        *("image/ami-1", "instance/*", "launch-template/lt-1", "network-interface/*", "security-group/sg-1", "subnet/subnet-1"),
        "volume/*",
    }
    assert machines["instance/*"]["ec2:InstanceType"] == "t4g.small"
    (passed,) = (call for call in asked if call.action == "iam:PassRole")
    assert (passed.resource, passed.context) == (
        "arn:aws:iam::111122223333:role/cohort-host/cohort-host",
        {"iam:PassedToService": "ec2.amazonaws.com"},
    )
    (tagged,) = (call for call in asked if call.action == "ec2:CreateTags")
    assert (tagged.resource.rpartition(":")[2], tagged.context["ec2:CreateAction"]) == ("instance/*", "RunInstances")


def test_a_principal_is_asked_for_with_its_boundary_and_a_policy_with_its_arn() -> None:
    boundary, policy = (f"arn:aws:iam::111122223333:policy/{name}" for name in ("cohort-boundary", "cohort/one"))
    properties = {
        "UserName": "ada",
        "Path": "/cohort/",
        "PermissionsBoundary": boundary,
        "ManagedPolicyArns": [policy],
        "Tags": [{"Key": "project", "Value": "cohort"}, {"Key": "aws:cloudformation:stack-name", "Value": "S"}],
    }
    asked = {check.action: check for check in resources.all_checks(change("AWS::IAM::User", "create", properties))}
    assert asked["iam:CreateUser"].resource == "arn:aws:iam::111122223333:user/cohort/ada"
    assert asked["iam:CreateUser"].context == {
        "aws:RequestTag/project": "cohort",
        "aws:TagKeys": ["project"],
        "iam:PermissionsBoundary": boundary,
    }
    assert asked["iam:AttachUserPolicy"].context == {"iam:PolicyARN": policy, "iam:PermissionsBoundary": boundary}


def test_an_update_asks_for_what_differs_alone() -> None:
    before = {"UserName": "ada", "Tags": [{"Key": "one", "Value": "1"}], "Groups": ["a"]}
    after = {"UserName": "ada", "Tags": [{"Key": "two", "Value": "2"}], "Groups": ["a", "b"]}
    asked = resources.all_checks(change("AWS::IAM::User", "update", after, before=before, physical_id="ada"))
    changing = {
        (call.action, call.resource.rpartition(":")[2]) for call in asked if not call.action.startswith(("iam:Get", "iam:List"))
    }
    assert changing == {("iam:TagUser", "user/ada"), ("iam:UntagUser", "user/ada"), ("iam:AddUserToGroup", "group/b")}
