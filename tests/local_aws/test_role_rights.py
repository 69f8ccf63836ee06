"""CloudFormation acts with the rights of the role that it was given: a refusal ends the resource in AWS's own words.

CloudFormation user guide, "AWS CloudFormation service role"
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html).
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from local_aws.server import EmbeddedAws, free_port
from tests.local_aws.helpers import ACCOUNT, EVERYTHING, client, states
from tests.local_aws.role_stacks import all_but, allowing, delete, denying, deploy, give, reasons, role, session, user

UUID = "[0-9a-f-]{36}"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def a_user(name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::IAM::User", "Properties": {"UserName": name, "Path": "/cohort/", **properties}}


def a_role(name: str, **properties: Any) -> dict[str, Any]:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    return {"Type": "AWS::IAM::Role", "Properties": {"RoleName": name, "AssumeRolePolicyDocument": trust, **properties}}


def a_bucket(name: str, **properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, **properties}}


def users(aws: EmbeddedAws) -> set[str]:
    return {user["UserName"] for user in client(aws, "iam").list_users()["Users"] if user["Path"] == "/cohort/"}


def test_a_role_that_lacks_one_action_fails_the_resource_in_aws_s_words_and_the_stack_rolls_back(aws: EmbeddedAws) -> None:
    arn = role(aws, all_but("iam:CreateRole"))
    ended = deploy(aws, "lacks-one", {"Ada": a_user("ada-lacks-one"), "Role": a_role("denied", Path="/cohort/")}, arn)
    assert ended["StackStatus"] == "ROLLBACK_COMPLETE"
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{arn.rpartition('/')[2]}/AWSCloudFormation"
    assert re.fullmatch(
        rf'Resource handler returned message: "User: {session} is not authorized to perform: iam:CreateRole on resource: '
        rf"arn:aws:iam::{ACCOUNT}:role/cohort/denied because no identity-based policy allows the iam:CreateRole action "
        rf"\(Service: Iam, Status Code: 403, Request ID: {UUID}\) \(SDK Attempt Count: 1\)\" "
        rf"\(RequestToken: {UUID}, HandlerErrorCode: AccessDenied\)",
        reasons(aws, "lacks-one")["Role"],
    )
    assert "ada-lacks-one" not in users(aws)


def test_an_action_that_names_a_principal_is_refused_by_its_kind_and_name(aws: EmbeddedAws) -> None:
    """As reported of real stacks: "iam:GetRole on resource: role cdk-hnb659fds-image-publishing-role-..." (aws/aws-cdk 27067)."""
    arn = role(aws, all_but("iam:GetRole"))
    deploy(aws, "lacks-a-look", {"Role": a_role("unseen", Path="/cohort/")}, arn)
    assert "iam:GetRole on resource: role unseen because no identity-based" in reasons(aws, "lacks-a-look")["Role"]


def test_an_older_handler_names_the_call_first(aws: EmbeddedAws) -> None:
    """As reported: "API: iam:CreateRole User: ... is not authorized to perform: iam:CreateRole" (aws/aws-cdk 8571)."""
    arn = role(aws, all_but("iam:CreateAccessKey"))
    key = {"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": {"Ref": "Ada"}}}
    assert deploy(aws, "no-keys", {"Ada": a_user("ada-no-keys"), "Key": key}, arn)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = reasons(aws, "no-keys")["Key"]
    assert reason.startswith("API: iam:CreateAccessKey User: arn:aws:sts::")
    assert "iam:CreateAccessKey on resource: user ada-no-keys because no identity-based policy allows" in reason


def test_a_name_that_is_taken_elsewhere_is_told_and_not_a_right_that_lacks(aws: EmbeddedAws) -> None:
    """The role is asked about the principal that the template wants, by its path, and not about whoever has the name."""
    client(aws, "iam").create_user(UserName="ada-taken", Path="/elsewhere/")
    policy = allowing("iam:*", resource=f"arn:aws:iam::{ACCOUNT}:user/cohort/*")
    deploy(aws, "taken", {"Ada": a_user("ada-taken")}, role(aws, policy))
    assert "already exists" in reasons(aws, "taken")["Ada"]
    client(aws, "iam").delete_user(UserName="ada-taken")


def test_a_property_needs_its_own_action_and_no_other(aws: EmbeddedAws) -> None:
    arn = role(aws, all_but("s3:PutBucketCORS", "s3:PutReplicationConfiguration", "s3:PutObjectAcl", "s3:DeleteObject"))
    assert deploy(aws, "plain", {"Bucket": a_bucket("plain-bucket")}, arn)["StackStatus"] == "CREATE_COMPLETE"
    rules = {"CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
    ended = deploy(aws, "cors", {"Bucket": a_bucket("cors-bucket", CorsConfiguration=rules)}, arn)
    assert ended["StackStatus"] == "ROLLBACK_COMPLETE"
    assert 's3:PutBucketCORS on resource: "arn:aws:s3:::cors-bucket" because' in reasons(aws, "cors")["Bucket"]


def test_an_update_is_refused_and_rolled_back_by_what_it_changes_alone(aws: EmbeddedAws) -> None:
    arn = role(aws, EVERYTHING)
    deploy(aws, "changes", {"Ada": a_user("ada-changes"), "Role": a_role("changing", Description="One")}, arn)
    give(aws, arn, all_but("iam:UpdateRole", "iam:UpdateRoleDescription", "iam:UpdateAssumeRolePolicy"))
    tagged = [{"Key": "one", "Value": "1"}]
    assert deploy(aws, "changes", {"Ada": a_user("ada-changes", Tags=tagged), "Role": a_role("changing", Description="One")})[
        "StackStatus"
    ] == ("UPDATE_COMPLETE")
    ended = deploy(aws, "changes", {"Ada": a_user("ada-changes"), "Role": a_role("changing", Description="Two")})
    assert ended["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "iam:UpdateRole on resource: role changing because" in reasons(aws, "changes")["Role"]
    assert client(aws, "iam").get_role(RoleName="changing")["Role"]["Description"] == "One"


def test_another_name_asks_for_making_and_for_removing(aws: EmbeddedAws) -> None:
    """CloudFormation user guide, "Understand update behaviors of stack resources": Replacement."""
    arn = role(aws, EVERYTHING)
    deploy(aws, "renames", {"Ada": a_user("ada-before")}, arn)
    give(aws, arn, all_but("iam:DeleteUser"))
    assert deploy(aws, "renames", {"Ada": a_user("ada-after")})["StackStatus"] == "UPDATE_COMPLETE"
    assert {"ada-before", "ada-after"} <= users(aws)
    assert ("Ada", "DELETE_FAILED") in states(aws, "renames")
    give(aws, arn, all_but("iam:CreateUser"))
    assert deploy(aws, "renames", {"Ada": a_user("ada-third")})["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_a_creation_whose_role_may_not_delete_ends_rollback_failed(aws: EmbeddedAws) -> None:
    arn = role(aws, all_but("iam:DeleteUser", "iam:CreateRole"))
    resources = {"Ada": a_user("ada-stays"), "Role": {**a_role("never"), "DependsOn": "Ada"}}
    assert deploy(aws, "stays", resources, arn)["StackStatus"] == "ROLLBACK_FAILED"
    assert "iam:DeleteUser on resource: user ada-stays" in reasons(aws, "stays")["Ada"]
    assert "ada-stays" in users(aws)


def test_an_update_whose_role_may_not_go_back_waits_for_the_right(aws: EmbeddedAws) -> None:
    arn = role(aws, EVERYTHING)
    deploy(aws, "back", {"Ada": a_user("ada-back")}, arn)
    give(aws, arn, all_but("iam:CreateRole", "iam:UntagUser"))
    tagged = a_user("ada-back", Tags=[{"Key": "one", "Value": "1"}])
    resources = {"Ada": tagged, "Role": {**a_role("never-back"), "DependsOn": "Ada"}}
    assert deploy(aws, "back", resources)["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    give(aws, arn, EVERYTHING)
    client(aws, "cloudformation").continue_update_rollback(StackName="back")
    client(aws, "cloudformation").get_waiter("stack_rollback_complete").wait(StackName="back", WaiterConfig={"Delay": 1})
    held = {tag["Key"] for tag in client(aws, "iam").list_user_tags(UserName="ada-back")["Tags"]}
    assert {key for key in held if not key.startswith("aws:")} == set()


def test_what_the_role_may_not_remove_leaves_the_stack_delete_failed(aws: EmbeddedAws) -> None:
    arn = role(aws, denying("s3:DeleteBucket"))
    deploy(aws, "kept", {"Ada": a_user("ada-kept"), "Bucket": a_bucket("kept-bucket")}, arn)
    assert delete(aws, "kept")["StackStatus"] == "DELETE_FAILED"
    reason = reasons(aws, "kept")["Bucket"]
    assert 's3:DeleteBucket on resource: "arn:aws:s3:::kept-bucket" with an explicit deny in an identity-based policy' in reason
    assert "ada-kept" not in users(aws)
    give(aws, arn, EVERYTHING)
    assert delete(aws, "kept")["StackStatus"] == "DELETE_COMPLETE"


def test_what_an_update_drops_and_may_not_remove_is_told_and_stays(aws: EmbeddedAws) -> None:
    arn = role(aws, EVERYTHING)
    deploy(aws, "drops", {"Ada": a_user("ada-dropped"), "Grace": a_user("grace-stays")}, arn)
    give(aws, arn, all_but("iam:DeleteUser"))
    assert deploy(aws, "drops", {"Grace": a_user("grace-stays")})["StackStatus"] == "UPDATE_COMPLETE"
    assert "iam:DeleteUser on resource: user ada-dropped" in reasons(aws, "drops")["Ada"]


def test_the_role_s_boundary_cuts_what_its_policies_allow(aws: EmbeddedAws) -> None:
    """IAM user guide, "Permissions boundaries for IAM entities"; its words by "Troubleshoot access denied error messages"."""
    arn = role(aws, EVERYTHING, boundary=all_but("iam:CreateUser"))
    deploy(aws, "bounded", {"Ada": a_user("ada-bounded")}, arn)
    assert "because no permissions boundary allows the iam:CreateUser action" in reasons(aws, "bounded")["Ada"]


def test_without_a_role_it_acts_with_the_caller_s_rights(aws: EmbeddedAws) -> None:
    key = user(aws, allowing("cloudformation:*", "s3:*"))
    assert deploy(aws, "caller", {"Bucket": a_bucket("caller-bucket")}, key=key)["StackStatus"] == "CREATE_COMPLETE"
    resources = {"Bucket": a_bucket("caller-bucket"), "Ada": a_user("ada-caller")}
    assert deploy(aws, "caller", resources, key=key)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert re.search(
        rf"User: arn:aws:iam::{ACCOUNT}:user/somebody-\d+ is not authorized to perform: iam:CreateUser",
        reasons(aws, "caller")["Ada"],
    )
    # The next who asks has rights of their own.
    assert deploy(aws, "caller", resources)["StackStatus"] == "UPDATE_COMPLETE"


def test_a_policy_of_principals_is_asked_for_on_each_of_them(aws: EmbeddedAws) -> None:
    """CDK's bootstrap has two for its roles; the handler puts an inline policy in each (registry, AWS::IAM::Policy)."""
    somebody = role(aws, EVERYTHING)
    policy = {
        "Type": "AWS::IAM::Policy",
        "Properties": {"PolicyName": "more", "PolicyDocument": EVERYTHING, "Roles": [somebody.rpartition("/")[2]]},
    }
    key = user(aws, allowing("cloudformation:*", "iam:*"))
    assert deploy(aws, "policy", {"Policy": policy}, key=key)["StackStatus"] == "CREATE_COMPLETE"
    not_there = {"Effect": "Deny", "Action": "iam:PutRolePolicy", "Resource": somebody}
    elsewhere = user(aws, {**EVERYTHING, "Statement": [*EVERYTHING["Statement"], not_there]})
    assert deploy(aws, "policy-denied", {"Policy": policy}, key=elsewhere)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "is not authorized to perform: iam:PutRolePolicy" in reasons(aws, "policy-denied")["Policy"]


def test_a_session_s_policy_cuts_what_the_caller_may(aws: EmbeddedAws) -> None:
    key = session(aws, allowing("cloudformation:*", "s3:*"))
    deploy(aws, "session", {"Ada": a_user("ada-session")}, key=key)
    assert "because no session policy allows the iam:CreateUser action" in reasons(aws, "session")["Ada"]


def test_a_tag_s_condition_is_met_by_the_call_that_makes_the_resource(aws: EmbeddedAws) -> None:
    """IAM user guide, "Controlling access to AWS resources using tags": aws:RequestTag and aws:ResourceTag."""
    asked = {"StringEquals": {"aws:RequestTag/project": "cohort"}}
    ours = {"StringEquals": {"aws:ResourceTag/project": "cohort"}}
    policy = allowing("ec2:CreateVolume", "ec2:CreateTags", Condition=asked)
    policy["Statement"] += allowing("ec2:ModifyVolume", "ec2:DeleteVolume", "ec2:DeleteTags", Condition=ours)["Statement"]
    policy["Statement"] += allowing("ec2:Describe*")["Statement"]
    arn = role(aws, policy)

    def volume(size: int, project: str) -> dict[str, Any]:
        tags = [{"Key": "project", "Value": project}]
        return {"Type": "AWS::EC2::Volume", "Properties": {"AvailabilityZone": "us-east-1a", "Size": size, "Tags": tags}}

    assert deploy(aws, "ours", {"Volume": volume(1, "cohort")}, arn)["StackStatus"] == "CREATE_COMPLETE"
    assert deploy(aws, "ours", {"Volume": volume(2, "cohort")})["StackStatus"] == "UPDATE_COMPLETE"
    assert deploy(aws, "theirs", {"Volume": volume(1, "other")}, arn)["StackStatus"] == "ROLLBACK_COMPLETE"
    reason = reasons(aws, "theirs")["Volume"]
    assert reason.startswith('Resource handler returned message: "You are not authorized to perform this operation. User: ')
    assert "Encoded authorization failure message: " in reason
    assert delete(aws, "ours")["StackStatus"] == "DELETE_COMPLETE"


def test_a_volume_from_a_snapshot_is_asked_for_on_the_snapshot_too(aws: EmbeddedAws) -> None:
    """AWS storage blog, "Enhancing resource-level permission for creating an Amazon EBS volume from a snapshot"."""
    ec2 = client(aws, "ec2")
    old = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    snapshot = ec2.create_snapshot(VolumeId=old)["SnapshotId"]
    restored = {"Type": "AWS::EC2::Volume", "Properties": {"AvailabilityZone": "us-east-1a", "SnapshotId": snapshot}}
    policy = allowing("ec2:CreateVolume", resource=f"arn:aws:ec2:us-east-1:{ACCOUNT}:volume/*")
    policy["Statement"] += allowing("ec2:Describe*", "ec2:DeleteVolume")["Statement"]
    arn = role(aws, policy)
    assert deploy(aws, "restore", {"Volume": restored}, arn)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert f"ec2:CreateVolume on resource: arn:aws:ec2:us-east-1::snapshot/{snapshot} because" in reasons(aws, "restore")["Volume"]


def test_a_key_that_the_role_could_not_manage_is_refused(aws: EmbeddedAws) -> None:
    """KMS API reference, CreateKey, BypassPolicyLockoutSafetyCheck; as CloudFormation tells it: innovation-sandbox-on-aws 31.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html
    """
    account = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*", "Resource": "*"}
    properties = {"KeyPolicy": {"Version": "2012-10-17", "Statement": [account]}}
    arn = role(aws, all_but("kms:PutKeyPolicy"))
    kms_key = {"Type": "AWS::KMS::Key", "Properties": properties}
    assert deploy(aws, "locked-out", {"Key": kms_key}, arn)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert re.fullmatch(
        r'Resource handler returned message: "The new key policy will not allow you to update the key policy in the future. '
        rf'\(Service: Kms, Status Code: 400, Request ID: {UUID}\) \(SDK Attempt Count: 1\)" '
        rf"\(RequestToken: {UUID}, HandlerErrorCode: InvalidRequest\)",
        reasons(aws, "locked-out")["Key"],
    )
    assert deploy(aws, "manages", {"Key": kms_key}, role(aws, EVERYTHING))["StackStatus"] == "CREATE_COMPLETE"
    knowing = {"Type": "AWS::KMS::Key", "Properties": properties | {"BypassPolicyLockoutSafetyCheck": True}}
    assert deploy(aws, "knowing", {"Key": knowing}, arn)["StackStatus"] == "CREATE_COMPLETE"


def test_drift_is_read_by_whoever_asks_and_by_the_role(aws: EmbeddedAws) -> None:
    """CloudFormation user guide, "Detect unmanaged configuration changes": whoever asks needs to read each resource."""
    arn = role(aws, EVERYTHING)
    deploy(aws, "drift", {"Ada": a_user("ada-drift"), "Bucket": a_bucket("drift-bucket")}, arn)

    def detected(*key: str) -> tuple[str, set[str]]:
        cloudformation = client(aws, "cloudformation", *key)
        started = cloudformation.detect_stack_drift(StackName="drift")["StackDriftDetectionId"]
        status = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=started)["DetectionStatus"]
        found = cloudformation.describe_stack_resource_drifts(StackName="drift")["StackResourceDrifts"]
        return status, {resource["LogicalResourceId"] for resource in found if resource["StackResourceDriftStatus"] == "UNKNOWN"}

    assert detected(ACCOUNT, "root") == ("DETECTION_COMPLETE", set())
    assert detected(*user(aws, all_but("s3:GetInventoryConfiguration"))) == ("DETECTION_FAILED", {"Bucket"})
    give(aws, arn, all_but("iam:GetLoginProfile"))
    assert detected(ACCOUNT, "root") == ("DETECTION_FAILED", {"Ada"})
