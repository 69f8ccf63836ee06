"""The resource types of the host and its backups on the embedded AWS: made, changed, kept over a restart, and removed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import body_of, client, deploy, ended

UBUNTU = "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def of(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def volume(**properties: Any) -> dict[str, Any]:
    return of("EC2::Volume", **{"AvailabilityZone": "us-east-1a", "Size": 20, "VolumeType": "gp3", "Encrypted": True, **properties})


def why_not(aws: EmbeddedAws, stack: str) -> str:
    """The first reason that the stack's events give for a failure, newest operation first."""
    events = client(aws, "cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return str(next(event["ResourceStatusReason"] for event in events if event["ResourceStatus"].endswith("_FAILED")))


def destroy(aws: EmbeddedAws, stack: str) -> None:
    client(aws, "cloudformation").delete_stack(StackName=stack)
    with pytest.raises(ClientError, match="does not exist"):
        ended(aws, stack)


def volumes(aws: EmbeddedAws, name: str) -> list[dict[str, Any]]:
    found = client(aws, "ec2").describe_volumes(Filters=[{"Name": "tag:Name", "Values": [name]}])
    return found["Volumes"]  # type: ignore[no-any-return]


def named(name: str) -> list[dict[str, str]]:
    return [{"Key": "Name", "Value": name}]


def test_a_volume_grows_in_place_and_goes_with_its_stack(aws: EmbeddedAws) -> None:
    deploy(aws, "growing", {"Data": volume(Tags=named("growing"))})
    (before,) = volumes(aws, "growing")
    assert (before["Size"], before["Encrypted"], before["State"]) == (20, True, "available")
    assert deploy(aws, "growing", {"Data": volume(Size=50, Tags=named("growing"))})["StackStatus"] == "UPDATE_COMPLETE"
    (after,) = volumes(aws, "growing")
    assert (after["VolumeId"], after["Size"]) == (before["VolumeId"], 50)
    destroy(aws, "growing")
    assert volumes(aws, "growing") == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Size": 10}, "cannot be smaller"),
        ({"SnapshotId": "snap-12345678"}, "Updates are not supported for SnapshotId"),
        ({"AvailabilityZone": "us-east-1b"}, "Updates are not supported for AvailabilityZone"),
        ({"OutpostArn": "arn"}, "does not know OutpostArn"),
    ],
)
def test_what_a_volume_cannot_become_is_refused(aws: EmbeddedAws, change: dict[str, Any], reason: str) -> None:
    stack = f"fixed-{next(iter(change)).lower()}"
    deploy(aws, stack, {"Data": volume(Tags=named(stack))})
    assert deploy(aws, stack, {"Data": volume(**change, Tags=named(stack))})["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert reason in why_not(aws, stack)
    assert [volume["Size"] for volume in volumes(aws, stack)] == [20]


def test_what_is_kept_stays_without_its_stack_and_over_a_restart(tmp_path: Path) -> None:
    lock = {"MinRetentionDays": 7, "ChangeableForDays": 3}
    kept = {
        "Data": volume(Tags=named("kept")) | {"DeletionPolicy": "Retain"},
        "Address": of("EC2::EIP", Domain="vpc", Tags=named("kept")) | {"DeletionPolicy": "Retain"},
        "Vault": of("Backup::BackupVault", BackupVaultName="kept", LockConfiguration=lock) | {"DeletionPolicy": "Retain"},
        "Settings": of(
            "SecretsManager::Secret",
            Name="kept",
            GenerateSecretString={
                "SecretStringTemplate": json.dumps({"EMAIL_URL": ""}),
                "GenerateStringKey": "SECRET_KEY",
                "PasswordLength": 64,
                "ExcludePunctuation": True,
            },
        )
        | {"DeletionPolicy": "Retain"},
    }
    port = free_port()
    with EmbeddedAws(port, tmp_path) as first:
        deploy(first, "kept", kept)
        secret = client(first, "secretsmanager").get_secret_value(SecretId="kept")["SecretString"]
        destroy(first, "kept")
    with EmbeddedAws(port, tmp_path) as second:
        assert len(volumes(second, "kept")) == len(client(second, "ec2").describe_addresses()["Addresses"]) == 1
        vault = client(second, "backup").describe_backup_vault(BackupVaultName="kept")
        assert (vault["Locked"], vault["MinRetentionDays"], (vault["LockDate"] - vault["CreationDate"]).days) == (True, 7, 3)
        assert client(second, "secretsmanager").get_secret_value(SecretId="kept")["SecretString"] == secret
        read = json.loads(secret)
        assert read["EMAIL_URL"] == ""
        assert len(read["SECRET_KEY"]) == 64
        assert read["SECRET_KEY"].isalnum()
        # As on AWS: what an earlier stack left is not taken over, and not overwritten.
        for name in ("Vault", "Settings"):
            assert deploy(second, f"again-{name}".lower(), {name: kept[name]})["StackStatus"] == "ROLLBACK_COMPLETE"
        assert client(second, "secretsmanager").get_secret_value(SecretId="kept")["SecretString"] == secret
        # Unless that is asked for, of what a template can name.
        cloudformation = client(second, "cloudformation")
        body = body_of({"Vault": kept["Vault"], "Topic": of("SNS::Topic")})
        names = {"StackName": "adopting", "ChangeSetName": "all"}
        cloudformation.create_change_set(TemplateBody=body, ChangeSetType="CREATE", ImportExistingResources=True, **names)
        cloudformation.execute_change_set(**names)
        assert ended(second, "adopting")["StackStatus"] == "CREATE_COMPLETE"


def test_an_address_is_released_with_its_stack(aws: EmbeddedAws) -> None:
    outputs = {"Ip": {"Value": {"Ref": "Address"}}, "Id": {"Value": {"Fn::GetAtt": ["Address", "AllocationId"]}}}
    stack = deploy(aws, "address", {"Address": of("EC2::EIP", Domain="vpc", Tags=named("a"))}, outputs)
    told = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    (address,) = client(aws, "ec2").describe_addresses(AllocationIds=[told["Id"]])["Addresses"]
    assert address["PublicIp"] == told["Ip"]
    deploy(aws, "address", {"Address": of("EC2::EIP", Domain="vpc", Tags=named("b"))}, outputs)
    (changed,) = client(aws, "ec2").describe_addresses(AllocationIds=[told["Id"]])["Addresses"]
    assert (changed["PublicIp"], {"Key": "Name", "Value": "b"} in changed["Tags"]) == (told["Ip"], True)
    destroy(aws, "address")
    assert client(aws, "ec2").describe_addresses(AllocationIds=[told["Id"]])["Addresses"] == []


def test_a_rule_of_its_own_joins_those_of_the_group(aws: EmbeddedAws) -> None:
    def resources(port: int, says: str) -> dict[str, Any]:
        inline = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIp": "0.0.0.0/0"}]
        return {
            "Source": of("EC2::SecurityGroup", GroupDescription="source"),
            "Group": of("EC2::SecurityGroup", GroupDescription="rules", GroupName="rules", SecurityGroupIngress=inline),
            "Rule": of(
                "EC2::SecurityGroupIngress",
                GroupId={"Fn::GetAtt": ["Group", "GroupId"]},
                SourceSecurityGroupId={"Fn::GetAtt": ["Source", "GroupId"]},
                IpProtocol="tcp",
                FromPort=port,
                ToPort=port,
                Description=says,
            ),
        }

    def rules() -> dict[int, str]:
        found = client(aws, "ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": ["rules"]}])
        (group,) = found["SecurityGroups"]
        return {
            permission["FromPort"]: (permission["UserIdGroupPairs"] or [{}])[0].get("Description", "")
            for permission in group["IpPermissions"]
        }

    deploy(aws, "rules", resources(80, "one"))
    assert rules() == {443: "", 80: "one"}
    deploy(aws, "rules", resources(80, "two"))
    assert rules() == {443: "", 80: "two"}
    deploy(aws, "rules", resources(8080, "two"))
    assert rules() == {443: "", 8080: "two"}
    left = resources(80, "")
    del left["Rule"]
    deploy(aws, "rules", left)
    assert rules() == {443: ""}


def test_a_selection_names_what_a_plan_copies(aws: EmbeddedAws) -> None:
    def resources(tag: str) -> dict[str, Any]:
        rule = {"RuleName": "daily", "TargetBackupVault": {"Ref": "Vault"}, "ScheduleExpression": "cron(0 5 * * ? *)"}
        conditions = {"StringEquals": [{"ConditionKey": "aws:ResourceTag/backup", "ConditionValue": tag}]}
        selection = {"SelectionName": "data", "IamRoleArn": "arn:aws:iam::1:role/r", "Resources": ["*"], "Conditions": conditions}
        return {
            "Vault": of("Backup::BackupVault", BackupVaultName="selected"),
            "Plan": of("Backup::BackupPlan", BackupPlan={"BackupPlanName": "selected", "BackupPlanRule": [rule]}),
            "Selection": of("Backup::BackupSelection", BackupPlanId={"Ref": "Plan"}, BackupSelection=selection),
        }

    def selected() -> list[str]:
        backup = client(aws, "backup")
        (plan,) = (item["BackupPlanId"] for item in backup.list_backup_plans()["BackupPlansList"])
        found = backup.list_backup_selections(BackupPlanId=plan)["BackupSelectionsList"]
        read = (backup.get_backup_selection(BackupPlanId=plan, SelectionId=item["SelectionId"]) for item in found)
        return [item["BackupSelection"]["Conditions"]["StringEquals"][0]["ConditionValue"] for item in read]

    deploy(aws, "selected", resources("cohort"))
    assert selected() == ["cohort"]
    assert deploy(aws, "selected", resources("other"))["StackStatus"] == "UPDATE_COMPLETE"
    assert selected() == ["other"]
    destroy(aws, "selected")
    assert client(aws, "backup").list_backup_plans()["BackupPlansList"] == []


def machine(data: str, topic: str, name: str = "machine") -> dict[str, Any]:
    """A group of one machine whose user data is `data`, and beside it something that may change without it."""
    return {
        "Vpc": of("EC2::VPC", CidrBlock="10.9.0.0/24"),
        "Subnet": of("EC2::Subnet", VpcId={"Ref": "Vpc"}, CidrBlock="10.9.0.0/26", AvailabilityZone="us-east-1b"),
        "Template": of(
            "EC2::LaunchTemplate",
            LaunchTemplateName=name,
            LaunchTemplateData={"ImageId": f"{{{{resolve:ssm:{UBUNTU}}}}}", "InstanceType": "t4g.small", "UserData": data},
        ),
        "Host": of(
            "AutoScaling::AutoScalingGroup",
            AutoScalingGroupName=name,
            MinSize="1",
            MaxSize="1",
            VPCZoneIdentifier=[{"Ref": "Subnet"}],
            LaunchTemplate={
                "LaunchTemplateId": {"Ref": "Template"},
                "Version": {"Fn::GetAtt": ["Template", "LatestVersionNumber"]},
            },
        )
        | {"CreationPolicy": {"ResourceSignal": {"Count": 1, "Timeout": "PT40M"}}},
        "Topic": of("SNS::Topic", DisplayName=topic),
    }


def running(aws: EmbeddedAws, name: str = "machine") -> list[str]:
    found = client(aws, "ec2").describe_instances(Filters=[{"Name": "tag:aws:autoscaling:groupName", "Values": [name]}])
    every = [instance for reservation in found["Reservations"] for instance in reservation["Instances"]]
    return [instance["InstanceId"] for instance in every if instance["State"]["Name"] == "running"]


def test_a_new_version_replaces_the_machine_and_nothing_else_does(aws: EmbeddedAws) -> None:
    assert deploy(aws, "machine", machine("one", "a"))["StackStatus"] == "CREATE_COMPLETE"
    (first,) = running(aws)
    (shown,) = client(aws, "ec2").describe_instances(InstanceIds=[first])["Reservations"][0]["Instances"]
    assert (shown["InstanceType"], shown["Architecture"], shown["Placement"]["AvailabilityZone"]) == (
        "t4g.small",
        "arm64",
        "us-east-1b",
    )
    assert shown["ImageId"] == client(aws, "ssm").get_parameter(Name=UBUNTU)["Parameter"]["Value"]
    deploy(aws, "machine", machine("one", "b"))
    assert running(aws) == [first]
    deploy(aws, "machine", machine("two", "b"))
    (second,) = running(aws)
    assert second != first
    destroy(aws, "machine")
    assert running(aws) == []
    assert all(volume["Attachments"] == [] for volume in client(aws, "ec2").describe_volumes()["Volumes"])


def test_a_machine_that_a_failed_update_replaced_is_replaced_back(aws: EmbeddedAws) -> None:
    deploy(aws, "undone", machine("one", "a", "undone"))
    client(aws, "iam").create_user(UserName="undone-taken")
    failing = machine("two", "a", "undone")
    failing["Taken"] = of("IAM::User", UserName="undone-taken") | {"DependsOn": "Host"}
    assert deploy(aws, "undone", failing)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert len(running(aws, "undone")) == 1


def test_a_locked_bucket_has_what_its_template_says(aws: EmbeddedAws) -> None:
    s3 = client(aws, "s3")
    locked = {
        "BucketName": "locked",
        "VersioningConfiguration": {"Status": "Enabled"},
        "ObjectLockEnabled": True,
        "ObjectLockConfiguration": {
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}},
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "Tags": named("locked"),
    }
    rules = [
        {
            "Id": "old",
            "Status": "Enabled",
            "ExpirationInDays": 400,
            "Transitions": [{"StorageClass": "GLACIER_IR", "TransitionInDays": 30}],
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
        {
            "Id": "tagged",
            "Status": "Enabled",
            "TagFilters": [{"Key": "kept", "Value": "no"}],
            "Transitions": [{"StorageClass": "DEEP_ARCHIVE", "TransitionInDays": 0}],
        },
    ]
    deploy(aws, "locked", {"Bucket": of("S3::Bucket", **locked, LifecycleConfiguration={"Rules": rules})})
    assert s3.get_bucket_lifecycle_configuration(Bucket="locked")["Rules"] == [
        {
            "ID": "old",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Days": 400},
            "Transitions": [{"Days": 30, "StorageClass": "GLACIER_IR"}],
            "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
        {
            "ID": "tagged",
            "Status": "Enabled",
            "Filter": {"Tag": {"Key": "kept", "Value": "no"}},
            "Transitions": [{"Days": 0, "StorageClass": "DEEP_ARCHIVE"}],
        },
    ]
    assert s3.get_bucket_tagging(Bucket="locked")["TagSet"] == named("locked")
    put = s3.put_object(Bucket="locked", Key="one", Body=b"1")
    with pytest.raises(ClientError):
        s3.delete_object(Bucket="locked", Key="one", VersionId=put["VersionId"])
    deploy(aws, "locked", {"Bucket": of("S3::Bucket", **locked)})
    with pytest.raises(ClientError, match="lifecycle"):
        s3.get_bucket_lifecycle_configuration(Bucket="locked")
    unlocked = {name: value for name, value in locked.items() if not name.startswith("ObjectLock")}
    assert deploy(aws, "locked", {"Bucket": of("S3::Bucket", **unlocked)})["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "cannot be disabled" in why_not(aws, "locked")


def test_a_lifecycle_rule_that_is_not_known_is_refused_and_leaves_no_bucket(aws: EmbeddedAws) -> None:
    rule = {"Status": "Enabled", "ObjectSizeGreaterThan": "1000"}
    stack = deploy(aws, "unknown", {"Bucket": of("S3::Bucket", BucketName="unknown", LifecycleConfiguration={"Rules": [rule]})})
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "unknown" not in {bucket["Name"] for bucket in client(aws, "s3").list_buckets()["Buckets"]}
