"""Drift of a group's stack on the embedded AWS: it is seen, and a drift-aware change set puts it right."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from local_aws.server import EmbeddedAws, free_port
from stacks import names
from stacks.group.group_stack import GroupStack
from stacks.manifest import Member
from tests.local_aws.helpers import S3_ONLY, client, ended, start, works
from tests.stacks.builders import ACCOUNT, ADA, LISE, REGION, group_manifest

TAGS = [{"Key": "project", "Value": "cohort"}, {"Key": "group", "Value": "example-lab"}]
SLUG, STACK = "example-lab", "Group-example-lab"
USER, ROLE, GROUP = names.user(SLUG, ADA), names.role(SLUG), names.iam_group(SLUG)
FOREIGN = f"arn:aws:iam::{ACCOUNT}:policy/foreign"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as aws:
        iam = client(aws, "iam")
        boundary = names.boundary_arn(ACCOUNT, REGION).rpartition("/")[2]
        for name in (boundary, "foreign"):
            iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(S3_ONLY))
        # Every CDK stack asks for it.
        client(aws, "ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
        yield aws


@pytest.fixture
def aws(running: EmbeddedAws, template: dict[str, Any]) -> Iterator[EmbeddedAws]:
    """With the group's stack, freshly deployed."""
    start(running, STACK, json.dumps(template), Tags=TAGS)
    assert ended(running, STACK)["StackStatus"] == "CREATE_COMPLETE"
    yield running
    client(running, "cloudformation").delete_stack(StackName=STACK)
    assert STACK not in {stack["StackName"] for stack in client(running, "cloudformation").describe_stacks()["Stacks"]}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    members = (Member(username=ADA, access="keys"), Member(username=LISE, access="federated"))
    stack = GroupStack(cdk.App(analytics_reporting=False), group_manifest(members=members))
    return dict(Template.from_stack(stack).to_json())


def drifts(aws: EmbeddedAws) -> tuple[str, dict[str, dict[str, Any]]]:
    """The stack's drift, and that of each resource by its type."""
    cloudformation = client(aws, "cloudformation")
    detection = cloudformation.detect_stack_drift(StackName=STACK)["StackDriftDetectionId"]
    found = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
    assert found["DetectionStatus"] == "DETECTION_COMPLETE"
    listed = cloudformation.describe_stack_resource_drifts(StackName=STACK)["StackResourceDrifts"]
    return found["StackDriftStatus"], {resource["ResourceType"].rpartition("::")[2]: resource for resource in listed}


def revert(aws: EmbeddedAws, template: dict[str, Any], execute: bool = True) -> dict[str, Any]:
    """Make a drift-aware change set, execute it, and return it as it was made."""
    cloudformation = client(aws, "cloudformation")
    named = {"StackName": STACK, "ChangeSetName": "revert"}
    cloudformation.create_change_set(
        TemplateBody=json.dumps(template), Tags=TAGS, Capabilities=["CAPABILITY_NAMED_IAM"], DeploymentMode="REVERT_DRIFT", **named
    )
    made = cloudformation.describe_change_set(**named)
    if execute:
        cloudformation.execute_change_set(**named)
        assert ended(aws, STACK)["StackStatus"] == "UPDATE_COMPLETE"
    cloudformation.delete_change_set(**named)
    return made  # type: ignore[no-any-return]


def changes(made: dict[str, Any]) -> dict[str, str]:
    """What a change set does to which type."""
    listed = [change["ResourceChange"] for change in made["Changes"]]
    return {statement["ResourceType"].rpartition("::")[2]: statement["Action"] for statement in listed}


def delete_user(aws: EmbeddedAws) -> None:
    iam = client(aws, "iam")
    for key in iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=USER, AccessKeyId=key["AccessKeyId"])
    iam.remove_user_from_group(GroupName=GROUP, UserName=USER)
    iam.delete_user(UserName=USER)


def key_of(aws: EmbeddedAws) -> tuple[str, str]:
    secret = client(aws, "secretsmanager").get_secret_value(SecretId=names.secret(SLUG, ADA))["SecretString"]
    held = json.loads(secret)
    return held["AccessKeyId"], held["SecretAccessKey"]


def test_a_stack_that_nobody_touched_is_in_sync(aws: EmbeddedAws, template: dict[str, Any]) -> None:
    status, found = drifts(aws)
    assert status == "IN_SYNC"
    assert {name: one["StackResourceDriftStatus"] for name, one in found.items()} == dict.fromkeys(
        ("ManagedPolicy", "Role", "Group", "User", "Secret"), "IN_SYNC"
    )
    made = revert(aws, template, execute=False)
    assert made["Status"] == "FAILED"
    assert made["DeploymentMode"] == "REVERT_DRIFT"
    assert made["StackDriftStatus"] == "IN_SYNC"


def test_a_deleted_user_is_seen_and_made_again_with_a_key_that_works(aws: EmbeddedAws, template: dict[str, Any]) -> None:
    old = key_of(aws)
    delete_user(aws)
    status, found = drifts(aws)
    assert status == "DRIFTED"
    assert found["User"]["StackResourceDriftStatus"] == "DELETED"
    made = revert(aws, template)
    assert made["ExecutionStatus"] == "AVAILABLE"
    assert made["StackDriftStatus"] == "DRIFTED"
    assert changes(made) == {"User": "Add", "AccessKey": "Add", "Secret": "Modify"}
    assert [user["UserName"] for user in client(aws, "iam").get_group(GroupName=GROUP)["Users"]] == [USER]
    assert key_of(aws)[0] != old[0]
    assert works(aws, key_of(aws))
    assert drifts(aws)[0] == "IN_SYNC"
    assert revert(aws, template, execute=False)["Status"] == "FAILED"


def test_a_user_taken_out_of_its_group_is_put_back(aws: EmbeddedAws, template: dict[str, Any]) -> None:
    client(aws, "iam").remove_user_from_group(GroupName=GROUP, UserName=USER)
    key = key_of(aws)
    (difference,) = drifts(aws)[1]["User"]["PropertyDifferences"]
    assert (difference["PropertyPath"], difference["DifferenceType"]) == ("/Groups/0", "REMOVE")
    assert changes(revert(aws, template)) == {"User": "Modify"}
    assert [user["UserName"] for user in client(aws, "iam").get_group(GroupName=GROUP)["Users"]] == [USER]
    assert key_of(aws) == key
    assert drifts(aws)[0] == "IN_SYNC"


@pytest.mark.parametrize("kind", ["Role", "Group"])
def test_a_policy_attached_by_somebody_else_is_seen_and_detached(aws: EmbeddedAws, template: dict[str, Any], kind: str) -> None:
    iam, name = client(aws, "iam"), {"Role": ROLE, "Group": GROUP}[kind]
    getattr(iam, f"attach_{kind.lower()}_policy")(**{f"{kind}Name": name}, PolicyArn=FOREIGN)
    status, found = drifts(aws)
    assert status == "DRIFTED"
    assert found[kind]["StackResourceDriftStatus"] == "MODIFIED"
    (difference,) = found[kind]["PropertyDifferences"]
    assert difference["DifferenceType"] == "ADD"
    assert difference["ActualValue"] == FOREIGN
    (change,) = revert(aws, template)["Changes"]
    assert change["ResourceChange"]["Action"] == "Modify"
    assert change["ResourceChange"]["Replacement"] == "False"
    assert change["ResourceChange"]["ResourceDriftStatus"] == "MODIFIED"
    attached = getattr(iam, f"list_attached_{kind.lower()}_policies")(**{f"{kind}Name": name})["AttachedPolicies"]
    assert FOREIGN not in {policy["PolicyArn"] for policy in attached}
    assert drifts(aws)[0] == "IN_SYNC"


def test_a_widened_role_and_policy_are_seen_and_narrowed(aws: EmbeddedAws, template: dict[str, Any]) -> None:
    iam = client(aws, "iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}))
    iam.delete_role_permissions_boundary(RoleName=ROLE)
    iam.delete_user_permissions_boundary(UserName=USER)
    policy = iam.list_attached_group_policies(GroupName=GROUP)["AttachedPolicies"][0]["PolicyArn"]
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=json.dumps(S3_ONLY), SetAsDefault=True)
    found = drifts(aws)[1]
    paths = {difference["PropertyPath"].split("/")[1] for difference in found["Role"]["PropertyDifferences"]}
    assert paths == {"AssumeRolePolicyDocument", "PermissionsBoundary"}
    assert [difference["PropertyPath"] for difference in found["User"]["PropertyDifferences"]] == ["/PermissionsBoundary"]
    assert found["ManagedPolicy"]["PropertyDifferences"][0]["PropertyPath"].startswith("/PolicyDocument/")
    assert changes(revert(aws, template)) == dict.fromkeys(("Role", "User", "ManagedPolicy"), "Modify")
    assert drifts(aws)[0] == "IN_SYNC"


@pytest.mark.parametrize("kind", ["Group", "Role"])
def test_what_was_deleted_is_made_again_with_what_belongs_to_it(aws: EmbeddedAws, template: dict[str, Any], kind: str) -> None:
    iam = client(aws, "iam")
    if kind == "Group":
        iam.remove_user_from_group(GroupName=GROUP, UserName=USER)
        for policy in iam.list_attached_group_policies(GroupName=GROUP)["AttachedPolicies"]:
            iam.detach_group_policy(GroupName=GROUP, PolicyArn=policy["PolicyArn"])
        iam.delete_group(GroupName=GROUP)
    else:
        for item in iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=ROLE, PolicyArn=item["PolicyArn"])
        for name in iam.list_role_policies(RoleName=ROLE)["PolicyNames"]:
            iam.delete_role_policy(RoleName=ROLE, PolicyName=name)
        iam.delete_role(RoleName=ROLE)
    assert drifts(aws)[1][kind]["StackResourceDriftStatus"] == "DELETED"
    assert changes(revert(aws, template))[kind] == "Add"
    assert drifts(aws)[0] == "IN_SYNC"
    assert [user["UserName"] for user in iam.get_group(GroupName=GROUP)["Users"]] == [USER]
    assert iam.list_attached_role_policies(RoleName=ROLE)["AttachedPolicies"]


def test_drift_and_a_changed_template_go_in_one_change_set(aws: EmbeddedAws, template: dict[str, Any]) -> None:
    delete_user(aws)
    client(aws, "iam").attach_role_policy(RoleName=ROLE, PolicyArn=FOREIGN)
    changed = copy.deepcopy(template)
    (role,) = (resource for resource in changed["Resources"].values() if resource["Type"] == "AWS::IAM::Role")
    role["Properties"]["Description"] = "changed"
    (user,) = (resource for resource in changed["Resources"].values() if resource["Type"] == "AWS::IAM::User")
    user["Properties"]["Policies"] = [{"PolicyName": "inline", "PolicyDocument": S3_ONLY}]
    made = revert(aws, changed)
    assert changes(made) == {"User": "Add", "AccessKey": "Add", "Secret": "Modify", "Role": "Modify"}
    iam = client(aws, "iam")
    assert iam.get_role(RoleName=ROLE)["Role"]["Description"] == "changed"
    assert iam.list_user_policies(UserName=USER)["PolicyNames"] == ["inline"]
    assert drifts(aws)[0] == "IN_SYNC"


def test_an_ordinary_change_set_leaves_drift_alone(aws: EmbeddedAws, template: dict[str, Any]) -> None:
    client(aws, "iam").attach_role_policy(RoleName=ROLE, PolicyArn=FOREIGN)
    changed = copy.deepcopy(template)
    changed["Outputs"]["Generation"]["Value"] = "2"
    start(aws, STACK, json.dumps(changed), Tags=TAGS)
    assert ended(aws, STACK)["StackStatus"] == "UPDATE_COMPLETE"
    assert drifts(aws)[1]["Role"]["StackResourceDriftStatus"] == "MODIFIED"
    assert changes(revert(aws, changed, execute=False)) == {"Role": "Modify"}


def test_a_revert_that_is_slow_can_be_seen(aws: EmbeddedAws, template: dict[str, Any]) -> None:
    delete_user(aws)
    aws.set_pace(0.2)
    try:
        revert(aws, template)
    finally:
        aws.set_pace(0)
    assert works(aws, key_of(aws))


def test_drift_detection_reads_with_the_rights_of_whoever_asks_and_shows_what_it_could_read(aws: EmbeddedAws) -> None:
    """CloudFormation user guide, "Detect unmanaged configuration changes": the caller needs read permission for each resource.

    API reference, DescribeStackDriftDetectionStatus: DETECTION_FAILED has results for the resources that could be read.
    """
    iam = client(aws, "iam")
    iam.attach_group_policy(GroupName=GROUP, PolicyArn=FOREIGN)
    iam.create_user(UserName="looker")
    allowed = {"Effect": "Allow", "NotAction": "iam:GetRole", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [allowed]}
    iam.put_user_policy(UserName="looker", PolicyName="look", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName="looker")["AccessKey"]
    cloudformation = client(aws, "cloudformation", key["AccessKeyId"], key["SecretAccessKey"])
    detection = cloudformation.detect_stack_drift(StackName=STACK)["StackDriftDetectionId"]
    found = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
    assert found["DetectionStatus"] == "DETECTION_FAILED"
    assert "Federated" in found["DetectionStatusReason"]
    listed = cloudformation.describe_stack_resource_drifts(StackName=STACK)["StackResourceDrifts"]
    by_type = {resource["ResourceType"].rpartition("::")[2]: resource for resource in listed}
    assert by_type["Role"]["StackResourceDriftStatus"] == "UNKNOWN"
    assert "is not authorized to perform: iam:GetRole on resource: " in by_type["Role"]["DriftStatusReason"]
    assert (by_type["Group"]["StackResourceDriftStatus"], by_type["User"]["StackResourceDriftStatus"]) == ("MODIFIED", "IN_SYNC")
    # Whoever may read all of it has all of it.
    assert drifts(aws)[0] == "DRIFTED"
