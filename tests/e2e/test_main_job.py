"""The main job, from the commands to AWS: who was added gets in, and nobody gets any further."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ALPHA, BETA = "alpha-lab", "beta-lab"
EPHYS, VIDEO = "cohort-e2e-ephys", "cohort-e2e-video"
ADA, GRACE = "ada@example.org", "grace@example.org"


@dataclass
class TwoGroups:
    """Two groups with an analysis each: Ada holds a key in one, Grace is federated in the other."""

    site: Site
    ada: dict[str, str]
    grace: dict[str, str]
    ada_username: str


@pytest.fixture(scope="module")
def two_groups(site: Site) -> TwoGroups:
    site.must("analysis", "create", "ephys", "--bucket", EPHYS, "--name", "Electrophysiology")
    site.must("analysis", "create", "video", "--bucket", VIDEO)
    site.must("group", "create", ALPHA, "--name", "Alpha Lab")
    site.must("group", "create", BETA, "--name", "Beta Lab")
    site.must("analysis", "grant", "ephys", ALPHA)
    site.must("analysis", "grant", "video", BETA)
    ada = site.must("member", "add", ALPHA, ADA, "--access", "keys", "--create")
    site.must("member", "add", BETA, GRACE, "--create", "--wait")
    site.wait_for_deployments()
    return TwoGroups(site, site.credentials(ALPHA, ADA), site.credentials(BETA, GRACE), ada["member"]["username"])


def refused(call: Callable[..., Any], **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"].startswith(("AccessDenied", "InvalidClientTokenId", "InvalidAccessKeyId", "403"))
    return False


def test_each_member_writes_and_reads_in_their_own_group_s_folder(two_groups: TwoGroups) -> None:
    site = two_groups.site
    for credentials, bucket, group in ((two_groups.ada, EPHYS, ALPHA), (two_groups.grace, VIDEO, BETA)):
        s3 = site.client("s3", credentials)
        s3.put_object(Bucket=bucket, Key=f"{group}/inputs/x", Body=b"trace")
        assert site.root("s3").get_object(Bucket=bucket, Key=f"{group}/inputs/x")["Body"].read() == b"trace"
        assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=f"{group}/")["Contents"]] == [f"{group}/inputs/x"]
        assert refused(s3.put_object, Bucket=bucket, Key=f"{group}/results/x", Body=b"only back ends write results")


def test_nobody_gets_any_further(two_groups: TwoGroups) -> None:
    site = two_groups.site
    for credentials, own, other_group, other in (
        (two_groups.ada, EPHYS, BETA, VIDEO),
        (two_groups.grace, VIDEO, ALPHA, EPHYS),
    ):
        s3 = site.client("s3", credentials)
        assert refused(s3.put_object, Bucket=own, Key=f"{other_group}/inputs/x", Body=b"")
        assert refused(s3.get_object, Bucket=own, Key=f"{other_group}/inputs/x")
        assert refused(s3.list_objects_v2, Bucket=own, Prefix=f"{other_group}/")
        assert refused(s3.list_objects_v2, Bucket=own)
        assert refused(s3.list_objects_v2, Bucket=own, Prefix="")
        assert refused(s3.list_objects_v2, Bucket=other)
        assert refused(s3.put_object, Bucket=other, Key=f"{other_group}/inputs/x", Body=b"")
        assert refused(s3.get_object, Bucket=other, Key=f"{other_group}/inputs/x")
        assert refused(s3.list_buckets)
        assert refused(s3.delete_bucket, Bucket=own)
        assert refused(s3.put_bucket_policy, Bucket=own, Policy="{}")
        assert refused(site.client("cloudformation", credentials).list_stacks)
        assert refused(site.client("secretsmanager", credentials).list_secrets)


def test_no_iam_action_is_allowed(two_groups: TwoGroups) -> None:
    user = f"cohort-{ALPHA}-{two_groups.ada_username}"
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    for credentials in (two_groups.ada, two_groups.grace):
        iam = two_groups.site.client("iam", credentials)
        assert refused(iam.list_users)
        assert refused(iam.get_user, UserName=user)
        assert refused(iam.create_user, UserName="mallory")
        assert refused(iam.create_access_key, UserName=user)
        assert refused(iam.put_user_policy, UserName=user, PolicyName="more", PolicyDocument=document)
        assert refused(iam.delete_user_permissions_boundary, UserName=user)
        assert refused(iam.attach_role_policy, RoleName=f"cohort-{BETA}", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        assert refused(
            two_groups.site.client("sts", credentials).assume_role,
            RoleArn=f"arn:aws:iam::{two_groups.site.env_file['COHORT_ACCOUNT']}:role/cohort/{ALPHA}/cohort-{ALPHA}",
            RoleSessionName="mallory",
        )


def test_every_principal_is_where_it_belongs_and_within_the_boundary(two_groups: TwoGroups) -> None:
    iam = two_groups.site.root("iam")
    roles = [role for role in iam.list_roles()["Roles"] if role["Path"].startswith("/cohort/")]
    users = iam.list_users(PathPrefix="/cohort/")["Users"]
    assert {role["Path"] for role in roles} >= {f"/cohort/{ALPHA}/", f"/cohort/{BETA}/"}
    assert f"/cohort/{ALPHA}/" in {user["Path"] for user in users}
    boundary = f"arn:aws:iam::{two_groups.site.env_file['COHORT_ACCOUNT']}:policy/cohort-boundary"
    for role in roles:
        assert iam.get_role(RoleName=role["RoleName"])["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    for user in users:
        assert iam.get_user(UserName=user["UserName"])["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary


def test_a_bucket_is_private_versioned_and_open_to_our_own_page_alone(two_groups: TwoGroups) -> None:
    s3 = two_groups.site.root("s3")
    assert s3.get_bucket_versioning(Bucket=EPHYS)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=EPHYS)["PublicAccessBlockConfiguration"].values())
    (rule,) = s3.get_bucket_cors(Bucket=EPHYS)["CORSRules"]
    assert rule["AllowedOrigins"] == [two_groups.site.url]
    lifecycle = {rule["ID"]: rule for rule in s3.get_bucket_lifecycle_configuration(Bucket=EPHYS)["Rules"]}
    assert lifecycle["abort-incomplete-uploads"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7


def test_a_hand_run_deploy_and_diff_right_after_find_nothing_to_change(two_groups: TwoGroups) -> None:
    listed = two_groups.site.cdk("ls")
    assert {"Cohort-Storage", f"Group-{ALPHA}", f"Group-{BETA}"} <= set(listed.out.split())
    diff = two_groups.site.cdk("diff", f"Group-{ALPHA}", "-c", f"group={ALPHA}", "--fail")
    assert diff.status == 0, diff.out + diff.err
    assert "There were no differences" in diff.out + diff.err
    deploy = two_groups.site.cdk("deploy", f"Group-{ALPHA}", "-c", f"group={ALPHA}")
    assert deploy.status == 0, deploy.err
    assert "(no changes)" in deploy.out + deploy.err


def test_the_issued_secret_is_nowhere_but_in_secrets_manager(two_groups: TwoGroups) -> None:
    site, secret = two_groups.site, two_groups.ada["SecretAccessKey"]
    stored = site.root("secretsmanager").get_secret_value(SecretId=f"cohort/{ALPHA}/{two_groups.ada_username}")
    assert json.loads(stored["SecretString"])["SecretAccessKey"] == secret
    cloudformation = site.root("cloudformation")
    assert secret not in json.dumps(cloudformation.get_template(StackName=f"Group-{ALPHA}"), default=str)
    assert secret not in json.dumps(cloudformation.describe_stacks(), default=str)
    assert secret not in json.dumps(cloudformation.describe_stack_events(StackName=f"Group-{ALPHA}"), default=str)
    theirs = [item for item in site.must("deployment", "list") if item["stack"] == f"Group-{ALPHA}"]
    assert theirs
    for deployment in theirs:
        assert secret not in json.dumps(deployment)
        assert secret not in site.manage("deployment", "log", str(deployment["id"])).out
    # Everything that the site keeps, but for what stands for AWS itself: database, logs, manifests, assemblies, settings.
    searched = [path for path in site.var.rglob("*") if path.is_file() and (site.var / "aws") not in path.parents]
    assert any(path.name == "cohort.sqlite3" for path in searched)
    assert [path for path in searched if secret.encode() in path.read_bytes()] == []


def test_a_group_stack_altered_to_grant_everything_still_cannot_pass_the_boundary(two_groups: TwoGroups) -> None:
    site = two_groups.site
    cloudformation, s3, iam = (site.root(service) for service in ("cloudformation", "s3", "iam"))
    template = cloudformation.get_template(StackName=f"Group-{BETA}")["TemplateBody"]
    original = template if isinstance(template, str) else json.dumps(template)
    altered = json.loads(original)
    for resource in altered["Resources"].values():
        if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::User"):
            resource["Properties"]["ManagedPolicyArns"] = ["arn:aws:iam::aws:policy/AdministratorAccess"]
    # CDK's own role may attach no such policy: somebody with an administrator's rights does it.
    trust = {"Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    by = iam.create_role(RoleName="somebody-s-own", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="somebody-s-own", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    _update(cloudformation, f"Group-{BETA}", json.dumps(altered), by)
    try:
        attached = iam.list_attached_role_policies(RoleName=f"cohort-{BETA}")["AttachedPolicies"]
        assert [policy["PolicyName"] for policy in attached] == ["AdministratorAccess"]
        mallory = site.credentials(BETA, GRACE)
        s3.create_bucket(Bucket="cohort-e2e-elsewhere")
        assert refused(site.client("iam", mallory).list_users)
        assert refused(site.client("iam", mallory).create_user, UserName="mallory")
        assert refused(site.client("s3", mallory).put_object, Bucket="cohort-e2e-elsewhere", Key="x", Body=b"")
        assert refused(site.client("s3", mallory).list_buckets)
        assert refused(site.client("cloudformation", mallory).list_stacks)
        assert refused(site.client("secretsmanager", mallory).list_secrets)
        assert refused(site.client("s3", mallory).delete_bucket, Bucket=VIDEO)
    finally:
        _update(cloudformation, f"Group-{BETA}", original, by)


def _update(cloudformation: Any, stack: str, template: str, role: str) -> None:
    cloudformation.update_stack(StackName=stack, TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"], RoleARN=role)
    cloudformation.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


@pytest.fixture
def beta_stack_untouched(two_groups: TwoGroups) -> Iterator[None]:
    def last_change() -> Any:
        stack = two_groups.site.root("cloudformation").describe_stacks(StackName=f"Group-{BETA}")["Stacks"][0]
        return stack.get("LastUpdatedTime", stack["CreationTime"])

    before = last_change()
    yield
    assert last_change() == before


@pytest.mark.usefixtures("beta_stack_untouched")
def test_who_is_removed_is_out_and_the_other_group_is_not_touched(two_groups: TwoGroups) -> None:
    site = two_groups.site
    ended = site.must("member", "remove", ALPHA, ADA, "--wait")
    assert ended["deployment"]["state"] == "succeeded"
    assert refused(site.client("s3", two_groups.ada).put_object, Bucket=EPHYS, Key=f"{ALPHA}/inputs/y", Body=b"")
    assert site.root("iam").list_users(PathPrefix=f"/cohort/{ALPHA}/")["Users"] == []
    secrets = site.root("secretsmanager").list_secrets(IncludePlannedDeletion=True)["SecretList"]
    assert [secret["Name"] for secret in secrets if secret["Name"].startswith(f"cohort/{ALPHA}/")] == []
    refusal = site.manage("member", "credentials", ALPHA, ADA)
    assert refusal.status == 2
    assert "is not in Alpha Lab" in refusal.err
    site.client("s3", two_groups.grace).put_object(Bucket=VIDEO, Key=f"{BETA}/inputs/y", Body=b"still in")


def test_a_federated_member_s_running_session_ends_with_the_membership(two_groups: TwoGroups) -> None:
    site = two_groups.site
    site.must("member", "add", BETA, "hedy@example.org", "--create", "--wait")
    session = site.client("s3", site.credentials(BETA, "hedy@example.org"))
    session.put_object(Bucket=VIDEO, Key=f"{BETA}/inputs/hedy", Body=b"in")
    site.must("member", "remove", BETA, "hedy@example.org", "--wait")
    assert refused(session.put_object, Bucket=VIDEO, Key=f"{BETA}/inputs/hedy", Body=b"out")
    site.client("s3", two_groups.grace).put_object(Bucket=VIDEO, Key=f"{BETA}/inputs/grace", Body=b"still in")


def test_who_comes_back_gets_a_new_key(two_groups: TwoGroups) -> None:
    site = two_groups.site
    added = site.must("member", "add", ALPHA, ADA, "--access", "keys", "--wait")
    assert added["member"]["username"] != two_groups.ada_username
    fresh = site.credentials(ALPHA, ADA)
    assert fresh["AccessKeyId"] != two_groups.ada["AccessKeyId"]
    assert set(fresh) == {"Version", "AccessKeyId", "SecretAccessKey"}
    site.client("s3", fresh).put_object(Bucket=EPHYS, Key=f"{ALPHA}/inputs/z", Body=b"back")


def test_a_read_only_grant_reads_and_does_not_write(two_groups: TwoGroups) -> None:
    site = two_groups.site
    site.must("analysis", "grant", "ephys", BETA, "--read-only", "--wait")
    site.root("s3").put_object(Bucket=EPHYS, Key=f"{BETA}/inputs/given", Body=b"look")
    s3 = site.client("s3", site.credentials(BETA, GRACE))
    assert s3.get_object(Bucket=EPHYS, Key=f"{BETA}/inputs/given")["Body"].read() == b"look"
    assert refused(s3.put_object, Bucket=EPHYS, Key=f"{BETA}/inputs/mine", Body=b"")
    site.must("analysis", "revoke", "ephys", BETA, "--wait")
    assert refused(s3.get_object, Bucket=EPHYS, Key=f"{BETA}/inputs/given")


def test_no_manifest_holds_an_address(two_groups: TwoGroups) -> None:
    published = "".join(path.read_text() for path in Path(two_groups.site.var, "manifests").rglob("*.json"))
    assert f'"slug": "{ALPHA}"' in published
    assert not re.search(r"example\.org|@", published)
