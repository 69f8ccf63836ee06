"""What the stack of all that outlives the host holds."""

import json

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Match, Template

from stacks.bootstrap import host_boundary
from stacks.site.backup_stack import BackupStack
from tests.stacks.builders import ACCOUNT, REGION, site

BUCKETS = (f"cohort-backups-{ACCOUNT}-{REGION}", f"cohort-state-{ACCOUNT}-{REGION}")
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/cohort-host-boundary"
# What holds data, or what data cannot be read without, or what guards it; under these names in every site's template.
KEPT = {
    "AWS::Backup::BackupVault",
    "AWS::EC2::Volume",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SecretsManager::Secret",
}


def backup_template(**fields):
    return Template.from_stack(BackupStack(cdk.App(analytics_reporting=False), site(**fields)))


@pytest.fixture(scope="module")
def template():
    return backup_template()


def bucket(template, name):
    (found,) = [
        resource for resource in template.find_resources("AWS::S3::Bucket").values() if resource["Properties"]["BucketName"] == name
    ]
    return found["Properties"]


def test_all_that_holds_data_is_kept(template):
    resources = template.to_json()["Resources"].values()
    assert {resource["Type"] for resource in resources} >= KEPT
    for resource in resources:
        kept = resource["Type"] in KEPT
        policies = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
        # Retain would survive the roll-back of a first creation, and hold its name against each further try; these have none.
        nameless = resource["Type"] in ("AWS::KMS::Key", "AWS::EC2::Volume")
        wanted = "Retain" if nameless else "RetainExceptOnCreate"
        assert policies == ((wanted, "Retain") if kept else (None, None)), resource["Type"]


def test_a_site_that_exists_has_nothing_replaced_by_another_deletion_policy(template):
    """What is kept is told by its name in the template: under another it would be made anew, beside what has its name on AWS."""
    kept = {name for name, resource in template.to_json()["Resources"].items() if resource["Type"] in KEPT}
    assert kept == {
        *("Key961B73FD", "KeyAlias910D852D", "State1C20CC9A", "StatePolicy68C7A5D2", "Backups9A29A52D", "BackupsPolicy374D03D2"),
        *("DataVolume", "SnapshotsVaultDB50A57D", "Settings", "Logs"),
    }


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_private_versioned_and_speaks_tls_alone(template, name):
    properties = bucket(template, name)
    assert properties["PublicAccessBlockConfiguration"] == dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
    )
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    policies = template.find_resources("AWS::S3::BucketPolicy").values()
    assert len(policies) == len(BUCKETS)
    for policy in policies:
        (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_database_backups_are_locked_encrypted_by_their_own_key_and_grow_cold(template):
    properties = bucket(template, BUCKETS[0])
    (key,) = template.find_resources("AWS::KMS::Key")
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Fn::GetAtt": [key, "Arn"]}}
    template.has_resource_properties("AWS::KMS::Key", {"EnableKeyRotation": True})
    assert properties["ObjectLockEnabled"] is True
    assert properties["ObjectLockConfiguration"]["Rule"] == {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    (rule,) = properties["LifecycleConfiguration"]["Rules"]
    assert rule["Transitions"] == [{"StorageClass": "GLACIER_IR", "TransitionInDays": 30}]
    assert (rule["ExpirationInDays"], rule["Status"]) == (400, "Enabled")


def test_retention_is_a_setting():
    template = backup_template(
        retention={
            "logs": 30,
            "daily": 14,
            "monthly": 90,
            "vault_lock_after": 7,
            "database": 200,
            "database_lock": 60,
            "database_colder": 45,
        }
    )
    properties = bucket(template, BUCKETS[0])
    assert properties["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Days"] == 60
    assert properties["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 200
    template.has_resource_properties("AWS::Logs::LogGroup", {"LogGroupName": "/cohort/host", "RetentionInDays": 30})
    template.has_resource_properties(
        "AWS::Backup::BackupVault",
        {"LockConfiguration": {"MinRetentionDays": 7, "MaxRetentionDays": 90, "ChangeableForDays": 7}},
    )
    assert rules(template) == {"daily": 14, "monthly": 90}


def rules(template):
    (plan,) = template.find_resources("AWS::Backup::BackupPlan").values()
    return {rule["RuleName"]: rule["Lifecycle"]["DeleteAfterDays"] for rule in plan["Properties"]["BackupPlan"]["BackupPlanRule"]}


def test_snapshots_of_the_data_volume_go_daily_and_monthly_into_a_locked_vault(template):
    (key,) = template.find_resources("AWS::KMS::Key")
    template.has_resource_properties(
        "AWS::Backup::BackupVault",
        {
            "EncryptionKeyArn": {"Fn::GetAtt": [key, "Arn"]},
            "LockConfiguration": {"MinRetentionDays": 7, "MaxRetentionDays": 365},
        },
    )
    assert rules(template) == {"daily": 35, "monthly": 365}
    (selection,) = template.find_resources("AWS::Backup::BackupSelection").values()
    chosen = selection["Properties"]["BackupSelection"]
    assert chosen["Resources"] == [f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/*"]
    (condition,) = chosen["Conditions"]["StringEquals"]
    (volume,) = template.find_resources("AWS::EC2::Volume").values()
    tags = {tag["Key"]: tag["Value"] for tag in volume["Properties"]["Tags"]}
    assert tags[condition["ConditionKey"].removeprefix("aws:ResourceTag/")] == condition["ConditionValue"]


@pytest.mark.parametrize(
    ("fields", "gib"), [({}, 20), ({"size": "medium"}, 100), ({"data_gib": 64}, 64)], ids=["small", "medium", "own"]
)
def test_the_data_volume_is_encrypted_and_as_large_as_the_site_says(fields, gib):
    template = backup_template(**fields)
    template.has_resource_properties(
        "AWS::EC2::Volume",
        {"Encrypted": True, "VolumeType": "gp3", "Size": gib, "AvailabilityZone": "us-east-1a", "SnapshotId": Match.absent()},
    )


def test_a_new_data_volume_can_be_made_from_a_snapshot():
    template = backup_template(data_snapshot="snap-0123456789abcdef0")
    template.has_resource_properties("AWS::EC2::Volume", {"SnapshotId": "snap-0123456789abcdef0", "Encrypted": True})


def test_another_snapshot_is_another_volume_since_none_can_be_changed_to_it(template):
    other = backup_template(data_snapshot="snap-0123456789abcdef0")
    assert set(other.find_resources("AWS::EC2::Volume")).isdisjoint(template.find_resources("AWS::EC2::Volume"))


def test_the_settings_secret_is_drawn_by_aws_and_is_in_no_template(template):
    (secret,) = template.find_resources("AWS::SecretsManager::Secret").values()
    assert secret["Properties"]["Name"] == "cohort-host/settings"
    assert "SecretString" not in secret["Properties"]
    assert secret["Properties"]["GenerateSecretString"]["GenerateStringKey"] == "SECRET_KEY"
    # What is drawn must be longer than the 32 characters that the settings ask for, and hold no sign that JSON or a shell minds.
    assert secret["Properties"]["GenerateSecretString"]["PasswordLength"] >= 50
    assert secret["Properties"]["GenerateSecretString"]["ExcludePunctuation"] is True


def test_the_one_role_lies_under_the_host_s_path_with_its_boundary_and_serves_aws_backup_alone(template):
    (role,) = template.find_resources("AWS::IAM::Role").values()
    properties = role["Properties"]
    assert (properties["Path"], properties["PermissionsBoundary"]) == ("/cohort-host/", BOUNDARY)
    (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "backup.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert "iam:" not in json.dumps(properties["Policies"])


def test_an_address_is_kept_for_a_host_that_holds_its_own_certificate(template):
    template.resource_count_is("AWS::EC2::EIP", 1)
    backup_template(tls="acm").resource_count_is("AWS::EC2::EIP", 0)


def test_there_is_no_code_that_runs_in_the_account(template):
    for kind in ("AWS::Lambda::Function", "AWS::CloudFormation::CustomResource"):
        template.resource_count_is(kind, 0)


def test_everything_that_can_be_tagged_says_whose_it_is():
    template = backup_template(tags={"cost-centre": "42"})
    for resource in template.to_json()["Resources"].values():
        if "Tags" in resource["Properties"]:
            tags = {tag["Key"]: tag["Value"] for tag in resource["Properties"]["Tags"]}
            assert tags.items() >= {"project": "cohort", "managed-by": "cohort", "cost-centre": "42"}.items()


def test_the_boundary_of_the_host_s_roles_lets_aws_backup_do_its_work(template):
    """A boundary allows nothing by itself, and whatever it leaves out is lost."""
    (role,) = template.find_resources("AWS::IAM::Role").values()
    asked, allowed = (
        {action for statement in document["Statement"] if statement["Effect"] == "Allow" for action in words(statement["Action"])}
        for document in (role["Properties"]["Policies"][0]["PolicyDocument"], host_boundary(ACCOUNT, REGION))
    )
    assert asked <= allowed


def words(action):
    return [action] if isinstance(action, str) else action
