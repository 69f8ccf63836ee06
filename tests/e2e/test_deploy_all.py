"""Everything at once, as a platform engineer does it: `cdk deploy --all`, again without a change, and `cdk destroy --all`."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.identity import create_identity
from local_aws.server import EmbeddedAws, free_port
from stacks import names
from stacks.bootstrap import execution_arns
from stacks.environment import isolated
from stacks.store import open_store
from tests.clients import make_client
from tests.e2e.site import ROOT
from tests.stacks.builders import ACCOUNT, REGION, group_manifest, platform_manifest

STACKS = {"Cohort-Storage", "Cohort-Backup", "Cohort-Host", "Group-example-lab"}
BACKUPS, STATE = f"cohort-backups-{ACCOUNT}-{REGION}", f"cohort-state-{ACCOUNT}-{REGION}"
BY_CDK_ALONE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::{ACCOUNT}:role/cdk-*"}],
}
TAGGED = [{"Name": "tag:project", "Values": ["cohort"]}]


class Engineer:
    """An account, a checkout with a site.toml, published manifests, and who may do nothing but assume CDK's roles."""

    def __init__(self, aws: EmbeddedAws, folder: Path) -> None:
        self.aws, self.folder = aws, folder
        self.assembly = folder / "assembly"
        store = open_store(str(folder / "manifests"))
        store.write("platform.json", platform_manifest().to_json())
        store.write("groups/example-lab.json", group_manifest().to_json())
        settings = {"account": ACCOUNT, "region": REGION, "domain": "cohort.example.org", "email": "platform@example.org"}
        self.site = folder / "site.toml"
        self.site.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
        self._bootstrap()
        self._key = create_identity(aws.endpoint, ACCOUNT, REGION, "platform-engineer", BY_CDK_ALONE)

    def _bootstrap(self) -> None:
        """What the account's administrator does once."""
        self._run([sys.executable, "-m", "stacks.bootstrap", "deploy", "--region", REGION], ACCOUNT, "root")
        policies = ("--cloudformation-execution-policies", execution_arns(ACCOUNT, REGION))
        self._run([*CDK, "--app", "", "bootstrap", f"aws://{ACCOUNT}/{REGION}", *policies], ACCOUNT, "root")

    def cdk(self, *arguments: str) -> str:
        """Run the CDK command line, which synthesises, and return all that it said."""
        return self._run([*CDK, *arguments, "--output", str(self.assembly), "-c", f"site={self.site}"], *self._key)

    def cdk_as_synthesised(self, *arguments: str) -> str:
        """The same, on what was synthesised last."""
        return self._run([*CDK, *arguments, "--app", str(self.assembly)], *self._key)

    def root(self, service: str) -> Any:
        """A client that may do everything: only for looking at the other end."""
        return make_client(
            service,
            endpoint_url=self.aws.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="root",
        )

    def _run(self, command: list[str], key: str, secret: str) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("COHORT_")}
        settings = {
            "AWS_ENDPOINT_URL": self.aws.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "COHORT_MANIFEST_STORE": str(self.folder / "manifests"),
            "VAR_DIR": str(self.folder),
        }
        done = subprocess.run(
            command, cwd=ROOT, env=isolated(clean, settings), capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


CDK = [str(ROOT / "node_modules/.bin/cdk")]


@pytest.fixture(scope="module")
def engineer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engineer]:
    folder = tmp_path_factory.mktemp("deploy-all")
    with EmbeddedAws(free_port(), folder / "aws") as aws:
        yield Engineer(aws, folder)


def stacks_of(engineer: Engineer) -> dict[str, str]:
    listed = engineer.root("cloudformation").describe_stacks()["Stacks"]
    return {
        stack["StackName"]: stack["StackStatus"] for stack in listed if stack["StackName"] not in ("CDKToolkit", "Cohort-Bootstrap")
    }


def resources_of(engineer: Engineer, stack: str) -> dict[str, str]:
    listed = engineer.root("cloudformation").describe_stack_resources(StackName=stack)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in listed}


def machines_of(engineer: Engineer) -> list[dict[str, Any]]:
    found = engineer.root("ec2").describe_instances(Filters=TAGGED)["Reservations"]
    return [instance for reservation in found for instance in reservation["Instances"] if instance["State"]["Name"] == "running"]


def missing(call: Any, **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError:
        return True
    return False


def is_kept(engineer: Engineer, stack: str, logical_id: str) -> bool:
    template = json.loads((engineer.assembly / f"{stack}.template.json").read_text())
    return template["Resources"][logical_id].get("DeletionPolicy") == "RetainExceptOnCreate"  # type: ignore[no-any-return]


def test_everything_is_deployed_twice_and_destroyed_once(engineer: Engineer) -> None:
    """One test: each part stands on the one before, and all are dear."""
    engineer.cdk("deploy", "--all", "--require-approval", "never")
    assert stacks_of(engineer) == dict.fromkeys(STACKS, "CREATE_COMPLETE")
    look_at_the_backups(engineer)
    look_at_the_host(engineer)
    before = {stack: resources_of(engineer, stack) for stack in STACKS}

    # As it was synthesised: a file of this checkout that somebody edits meanwhile is a new version of the host.
    again = engineer.cdk_as_synthesised("deploy", "--all", "--require-approval", "never")
    assert set(re.findall(r"(\S+) \(no changes\)", again)) == STACKS
    assert stacks_of(engineer) == dict.fromkeys(STACKS, "CREATE_COMPLETE")
    assert {stack: resources_of(engineer, stack) for stack in STACKS} == before

    engineer.cdk_as_synthesised("destroy", "--all", "--force")
    assert stacks_of(engineer) == {}
    look_at_what_is_left(engineer, before["Cohort-Backup"])


def look_at_the_backups(engineer: Engineer) -> None:
    s3, kms, backup = (engineer.root(name) for name in ("s3", "kms", "backup"))
    assert s3.get_bucket_versioning(Bucket=BACKUPS)["Status"] == "Enabled"
    lock = s3.get_object_lock_configuration(Bucket=BACKUPS)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 30}
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=BACKUPS)["Rules"]
    assert rule["Transitions"] == [{"Days": 30, "StorageClass": "GLACIER_IR"}]
    assert rule["Expiration"] == {"Days": 400}
    (encryption,) = s3.get_bucket_encryption(Bucket=BACKUPS)["ServerSideEncryptionConfiguration"]["Rules"]
    key = kms.describe_key(KeyId="alias/cohort-backups")["KeyMetadata"]["Arn"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    # What is put there cannot be deleted for good, and carries the key.
    put = s3.put_object(Bucket=BACKUPS, Key="database/one", Body=b"1")
    assert put["ServerSideEncryption"] == "aws:kms"
    with pytest.raises(ClientError, match="Access"):
        s3.delete_object(Bucket=BACKUPS, Key="database/one", VersionId=put["VersionId"])

    vault = backup.describe_backup_vault(BackupVaultName="cohort")
    assert (vault["Locked"], vault["EncryptionKeyArn"], vault["MinRetentionDays"]) == (True, key, 7)
    (plan,) = backup.list_backup_plans()["BackupPlansList"]
    rules = backup.get_backup_plan(BackupPlanId=plan["BackupPlanId"])["BackupPlan"]["Rules"]
    assert {item["RuleName"]: item["Lifecycle"]["DeleteAfterDays"] for item in rules} == {"daily": 35, "monthly": 365}
    (selection,) = backup.list_backup_selections(BackupPlanId=plan["BackupPlanId"])["BackupSelectionsList"]
    assert selection["IamRoleArn"].endswith(":role/cohort-host/cohort-backup")

    (volume,) = engineer.root("ec2").describe_volumes(Filters=[{"Name": "tag:Name", "Values": ["cohort-data"]}])["Volumes"]
    assert (volume["Encrypted"], volume["VolumeType"], volume["Size"]) == (True, "gp3", 20)
    secret = json.loads(engineer.root("secretsmanager").get_secret_value(SecretId="cohort-host/settings")["SecretString"])
    assert re.fullmatch(r"[A-Za-z0-9]{64}", secret["SECRET_KEY"])


def look_at_the_host(engineer: Engineer) -> None:
    ec2, iam = engineer.root("ec2"), engineer.root("iam")
    (group,) = ec2.describe_security_groups(Filters=TAGGED)["SecurityGroups"]
    assert sorted(permission["FromPort"] for permission in group["IpPermissions"]) == [80, 443]
    boundary = names.policy_arn(ACCOUNT, REGION, names.HOST_BOUNDARY_NAME)
    for role in ("cohort-host", "cohort-web", "cohort-backup"):
        found = iam.get_role(RoleName=role)["Role"]
        assert (found["Path"], found["PermissionsBoundary"]["PermissionsBoundaryArn"]) == ("/cohort-host/", boundary)
    assert iam.get_role(RoleName="cohort-example-lab")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == names.policy_arn(
        ACCOUNT, REGION, names.BOUNDARY_NAME
    )

    (machine,) = machines_of(engineer)
    assert (machine["InstanceType"], machine["Architecture"]) == ("t4g.small", "arm64")
    assert machine["IamInstanceProfile"]["Arn"].endswith(":instance-profile/cohort-host/cohort-host")
    assert [item["GroupId"] for item in machine["SecurityGroups"]] == [group["GroupId"]]
    groups = engineer.root("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    (members,) = (item for item in groups if item["AutoScalingGroupName"] == "cohort-host")
    assert [instance["InstanceId"] for instance in members["Instances"]] == [machine["InstanceId"]]

    alarms = engineer.root("cloudwatch").describe_alarms(AlarmNamePrefix="cohort-")["MetricAlarms"]
    assert {"cohort-site-down", "cohort-disk-full", "cohort-backup-age"} <= {alarm["AlarmName"] for alarm in alarms}
    (topic,) = engineer.root("sns").list_topics()["Topics"]
    assert all(alarm["AlarmActions"] == [topic["TopicArn"]] for alarm in alarms)
    (subscription,) = engineer.root("sns").list_subscriptions_by_topic(TopicArn=topic["TopicArn"])["Subscriptions"]
    assert subscription["Endpoint"] == "platform@example.org"


def look_at_what_is_left(engineer: Engineer, backups: dict[str, str]) -> None:
    """All that holds data, and nothing that costs or lets anybody in."""
    s3, ec2, iam = engineer.root("s3"), engineer.root("ec2"), engineer.root("iam")
    buckets = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"] if not bucket["Name"].startswith("cdk-")}
    assert buckets == {BACKUPS, STATE, "cohort-ephys", "cohort-video"}
    assert s3.get_object(Bucket=BACKUPS, Key="database/one")["Body"].read() == b"1"
    (key,) = (item for item in engineer.root("kms").list_keys()["Keys"] if item["KeyId"] in backups.values())
    assert engineer.root("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"
    assert engineer.root("backup").describe_backup_vault(BackupVaultName="cohort")["Locked"]
    assert engineer.root("backup").list_backup_plans()["BackupPlansList"] == []
    assert [volume["VolumeId"] for volume in ec2.describe_volumes()["Volumes"]] == [backups["DataVolume"]]
    assert len(ec2.describe_addresses()["Addresses"]) == is_kept(engineer, "Cohort-Backup", "Address")
    assert "SECRET_KEY" in engineer.root("secretsmanager").get_secret_value(SecretId="cohort-host/settings")["SecretString"]
    (logs,) = engineer.root("logs").describe_log_groups(logGroupNamePrefix="/cohort/")["logGroups"]
    assert logs["logGroupName"] == "/cohort/host"

    assert machines_of(engineer) == []
    assert engineer.root("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
    for kind in ("vpcs", "subnets", "security_groups", "internet_gateways", "route_tables", "launch_templates"):
        found = getattr(ec2, f"describe_{kind}")(Filters=TAGGED)
        assert all(value == [] for name, value in found.items() if name != "ResponseMetadata"), kind
    assert all(
        missing(iam.get_role, RoleName=role) for role in ("cohort-host", "cohort-web", "cohort-backup", "cohort-example-lab")
    )
    assert engineer.root("cloudwatch").describe_alarms(AlarmNamePrefix="cohort-")["MetricAlarms"] == []
    assert engineer.root("sns").list_topics()["Topics"] == []
    assert {user["UserName"] for user in iam.list_users()["Users"]} == {"platform-engineer"}
    assert {secret["Name"] for secret in engineer.root("secretsmanager").list_secrets()["SecretList"]} == {"cohort-host/settings"}
