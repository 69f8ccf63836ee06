"""What the stacks make of a manifest."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Match, Template

from stacks import names
from stacks.group.assembly import add_stacks
from stacks.group.group_stack import GroupStack
from stacks.group.storage_stack import StorageStack
from stacks.manifest import AnalysisGrant, Member
from stacks.store import open_store
from tests.stacks.builders import ACCOUNT, ADA, GRACE, group_manifest, platform_manifest

ROOT = Path(__file__).resolve().parents[2]
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/cohort-boundary"
PRINCIPALS = ("AWS::IAM::Role", "AWS::IAM::User")


def group_template(**fields: Any) -> Template:
    return Template.from_stack(GroupStack(cdk.App(analytics_reporting=False), group_manifest(**fields)))


@pytest.mark.parametrize("bucket", ["cohort-ephys", "cohort-e-phys", "cohort-1--2", f"cohort-{'x' * 56}"])
def test_the_name_of_a_bucket_in_the_template_can_be_told_from_the_bucket(bucket: str) -> None:
    buckets = storage_template(buckets=(bucket,)).find_resources("AWS::S3::Bucket")
    assert list(buckets) == [names.bucket_logical_id(bucket)]


def storage_template(**fields: Any) -> Template:
    return Template.from_stack(StorageStack(cdk.App(analytics_reporting=False), platform_manifest(**fields)))


def test_every_principal_lies_under_the_group_s_path_and_carries_the_boundary() -> None:
    resources = group_template().to_json()["Resources"].values()
    principals = [resource for resource in resources if resource["Type"] in PRINCIPALS]
    assert len(principals) == 2
    for principal in principals:
        assert principal["Properties"]["Path"] == "/cohort/example-lab/"
        assert principal["Properties"]["PermissionsBoundary"] == BOUNDARY


def test_the_secret_key_is_only_ever_a_reference() -> None:
    template = group_template()
    template.has_resource_properties(
        "AWS::SecretsManager::Secret",
        {"Name": f"cohort/example-lab/{ADA}", "SecretString": {"Fn::Sub": [Match.any_value(), Match.any_value()]}},
    )
    assert "SecretAccessKey" not in json.dumps(template.to_json().get("Outputs"))


def test_a_federated_member_has_no_user_no_key_and_no_secret() -> None:
    template = group_template(members=(Member(username=GRACE, access="federated"),))
    for kind in ("AWS::IAM::User", "AWS::IAM::AccessKey", "AWS::SecretsManager::Secret", "AWS::IAM::Group"):
        template.resource_count_is(kind, 0)
    assert GRACE not in json.dumps(template.to_json())


def test_rotating_a_key_is_another_key_and_touches_nothing_but_the_secret() -> None:
    before = group_template(members=(Member(username=ADA, access="keys"),)).to_json()["Resources"]
    after = group_template(members=(Member(username=ADA, access="keys", key_serial=2),)).to_json()["Resources"]
    assert [before[name]["Type"] for name in before.keys() - after.keys()] == ["AWS::IAM::AccessKey"]
    assert [after[name]["Type"] for name in after.keys() - before.keys()] == ["AWS::IAM::AccessKey"]
    changed = [name for name in before.keys() & after.keys() if before[name] != after[name]]
    assert [before[name]["Type"] for name in changed] == ["AWS::SecretsManager::Secret"]


@pytest.mark.parametrize("state", ["active", "inactive"])
def test_the_key_before_goes_on_beside_the_new_one_as_the_same_resource(state: str) -> None:
    before = group_template(members=(Member(username=ADA, access="keys"),)).to_json()["Resources"]
    member = Member.model_validate({"username": ADA, "access": "keys", "key_serial": 2, "previous_key": state})
    after = group_template(members=(member,)).to_json()["Resources"]
    (name,) = (name for name in before if before[name]["Type"] == "AWS::IAM::AccessKey")
    assert after[name]["Properties"]["Status"] == state.capitalize()
    assert sum(resource["Type"] == "AWS::IAM::AccessKey" for resource in after.values()) == 2


def test_what_is_suspended_is_denied_everything_and_loses_nothing() -> None:
    members = (Member(username=ADA, access="keys", suspended=True), Member(username=GRACE, access="federated"))
    template = group_template(members=members, suspended=True).to_json()["Resources"]
    for kind in ("AWS::IAM::User", "AWS::IAM::Group"):
        (principal,) = (resource for resource in template.values() if resource["Type"] == kind)
        (policy,) = (item for item in principal["Properties"]["Policies"] if item["PolicyName"] == "suspended")
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    assert sum(resource["Type"] == "AWS::IAM::AccessKey" for resource in template.values()) == 1


def test_sessions_that_a_key_opened_are_denied_and_the_key_and_the_role_are_not() -> None:
    members = (Member(username=ADA, access="keys"), Member(username=GRACE, access="federated"))
    template = group_template(members=members)
    (group,) = template.find_resources("AWS::IAM::Group").values()
    (policy,) = group["Properties"]["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"], statement["Resource"]) == ("Deny", "*", "*")
    # A request that a key signs carries no such time; one of a session does (IAM user guide, "Global condition context keys").
    assert statement["Condition"]["Null"] == {"aws:TokenIssueTime": "false"}
    # The role's sessions carry it too: on the role it would end them all.
    (role,) = template.find_resources("AWS::IAM::Role").values()
    assert "Null" not in json.dumps(role["Properties"])


def test_everything_that_can_be_tagged_says_whose_it_is() -> None:
    for resource in group_template(tags={"cost-centre": "42"}).to_json()["Resources"].values():
        if resource["Type"] in (*PRINCIPALS, "AWS::SecretsManager::Secret"):
            tags = {tag["Key"]: tag["Value"] for tag in resource["Properties"]["Tags"]}
            assert tags == {"project": "cohort", "group": "example-lab", "managed-by": "cohort", "cost-centre": "42"}


def test_a_group_with_many_analyses_gets_several_policies_on_role_and_group() -> None:
    grants = tuple(AnalysisGrant(bucket=f"cohort-{number:02d}-{'b' * 50}", access="read-write") for number in range(20))
    template = group_template(analyses=grants)
    count = len(template.find_resources("AWS::IAM::ManagedPolicy"))
    assert count > 1
    for kind in ("AWS::IAM::Role", "AWS::IAM::Group"):
        (principal,) = template.find_resources(kind).values()
        assert len(principal["Properties"]["ManagedPolicyArns"]) == count


def test_the_right_to_undo_is_the_role_s_alone() -> None:
    template = group_template()
    for kind, resources in (
        (kind, template.find_resources(kind))
        for kind in ("AWS::IAM::Role", "AWS::IAM::Group", "AWS::IAM::User", "AWS::IAM::ManagedPolicy")
    ):
        assert resources
        assert ("DeleteObjectVersion" in json.dumps(resources)) == (kind == "AWS::IAM::Role")
    template.has_resource_properties("AWS::IAM::Role", {"Policies": [Match.object_like({"PolicyName": "undo"})]})


def test_an_analysis_bucket_is_private_encrypted_versioned_and_kept() -> None:
    template = storage_template()
    for name in ("cohort-ephys", "cohort-video"):
        template.has_resource(
            "AWS::S3::Bucket",
            {
                "DeletionPolicy": "RetainExceptOnCreate",
                "UpdateReplacePolicy": "Retain",
                "Properties": {
                    "BucketName": name,
                    "PublicAccessBlockConfiguration": dict.fromkeys(
                        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
                    ),
                    "VersioningConfiguration": {"Status": "Enabled"},
                    "BucketEncryption": {
                        "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                    },
                    "LifecycleConfiguration": {
                        "Rules": [
                            Match.object_like({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}, "Status": "Enabled"}),
                            Match.object_like(
                                {
                                    "Status": "Enabled",
                                    "TagFilters": [{"Key": "cohort-archive", "Value": "true"}],
                                    "Transitions": [{"StorageClass": "DEEP_ARCHIVE", "TransitionInDays": 0}],
                                }
                            ),
                        ]
                    },
                },
            },
        )
    for policy in template.find_resources("AWS::S3::BucketPolicy").values():
        kept = (policy["DeletionPolicy"], policy["UpdateReplacePolicy"])
        assert kept == ("RetainExceptOnCreate", "Retain"), "a kept bucket without its policy answers over plain HTTP"
    template.has_resource_properties(
        "AWS::S3::BucketPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [Match.object_like({"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}})]
                )
            }
        },
    )


def test_earlier_versions_end_by_a_rule_of_their_own_beside_the_others() -> None:
    """CloudFormation user guide, AWS::S3::Bucket Rule: ExpiredObjectDeleteMarker goes with neither days nor tags."""
    without = {bucket["Properties"]["BucketName"]: rules_of(bucket) for bucket in buckets_of(storage_template())}
    for bucket in buckets_of(storage_template(earlier_versions_days=30)):
        *others, own = rules_of(bucket)
        assert others == without[bucket["Properties"]["BucketName"]], "unfinished uploads and the archive of retired groups stay"
        assert own == {
            "Id": "end-earlier-versions",
            "Status": "Enabled",
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "ExpiredObjectDeleteMarker": True,
        }
    assert "Noncurrent" not in json.dumps(without), "by default nothing ends"


def buckets_of(template: Template) -> list[Mapping[str, Any]]:
    return list(template.find_resources("AWS::S3::Bucket").values())


def rules_of(bucket: Mapping[str, Any]) -> list[dict[str, Any]]:
    return bucket["Properties"]["LifecycleConfiguration"]["Rules"]  # type: ignore[no-any-return]


def test_browsers_of_our_own_origin_alone_may_use_a_bucket() -> None:
    for bucket in storage_template().find_resources("AWS::S3::Bucket").values():
        (rule,) = bucket["Properties"]["CorsConfiguration"]["CorsRules"]
        assert rule["AllowedOrigins"] == ["https://cohort.example.org"]
        assert set(rule["AllowedMethods"]) == {"GET", "PUT", "POST", "DELETE", "HEAD"}
        assert "ETag" in rule["ExposedHeaders"]
        assert any(header.startswith("x-amz-checksum-") for header in rule["ExposedHeaders"])
        assert rule["MaxAge"] == 3000


def test_one_group_is_synthesised_alone_and_otherwise_all_there_is(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write("platform.json", platform_manifest().to_json())
    for slug in ("example-lab", "other-lab"):
        store.write(f"groups/{slug}.json", group_manifest(slug=slug).to_json())
    assert stack_names(store, group="other-lab") == {"Group-other-lab"}
    assert stack_names(store) == {"Cohort-Storage", "Group-example-lab", "Group-other-lab"}


def stack_names(store: Any, **context: Any) -> set[str]:
    app = cdk.App(analytics_reporting=False)
    add_stacks(app, store, **context)
    return {stack.stack_name for stack in app.synth().stacks}


@pytest.mark.parametrize(
    ("published", "says"),
    [('{"version": 7}', "version is 7"), ("{", "not JSON"), (None, "No manifest 'groups/example-lab.json'")],
)
def test_a_bad_manifest_is_one_clear_line_at_the_cdk_command(tmp_path: Path, published: str | None, says: str) -> None:
    if published is not None:
        open_store(str(tmp_path)).write("groups/example-lab.json", published)
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={
            "COHORT_MANIFEST_STORE": str(tmp_path),
            "VAR_DIR": str(tmp_path),
            "CDK_CONTEXT_JSON": '{"group": "example-lab"}',
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
