"""Cohort-Bootstrap: what a template that means harm cannot do, what ours can, and how the stack itself is deployed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import boto3
import pytest
from aws_cdk.assertions import Template
from botocore.exceptions import ClientError

from local_aws.identity import create_identity
from local_aws.server import EmbeddedAws, free_port
from stacks import bootstrap, names
from stacks.group.group_stack import GroupStack
from stacks.group.storage_stack import StorageStack
from stacks.manifest import Member
from stacks.policies import POLICY_CHARACTERS, boundary, size
from stacks.site import host_policies
from stacks.site.backup_stack import BackupStack
from stacks.site.execution import execution_policies
from stacks.site.host_stack import IMAGE, HostStack
from tests.clients import make_client
from tests.stacks.builders import ADA, GRACE, group_manifest, platform_manifest, site
from tests.stacks.simulation import ACCOUNT, Call, decide
from tests.stacks.simulation.needs import NEEDS, REGION

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = ["cohort-*"]
POLICIES = execution_policies(ACCOUNT, REGION, PATTERNS)
IAM = f"arn:aws:iam::{ACCOUNT}:"
ADMINISTRATOR = {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"}
EVERYTHING = {"everything": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}}
BACKUPS, STATE = f"cohort-backups-{ACCOUNT}-{REGION}", f"cohort-state-{ACCOUNT}-{REGION}"


def within(name: str) -> dict[str, Any]:
    return {"iam:PermissionsBoundary": f"{IAM}policy/{name}"}


GROUPS, HOST = within("cohort-boundary"), within("cohort-host-boundary")


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-east-1", "ap-southeast-1", "cn-northwest-1"])
def test_every_policy_fits_iam_s_limit_with_room_to_spare(region: str) -> None:
    made = bootstrap.policy_documents(ACCOUNT, region, ["cohort-*", *(f"lab-{number:02d}-{'b' * 50}" for number in range(5))])
    assert [name for name, document in made.items() if size(document) > POLICY_CHARACTERS - 200] == []


MEMBERS = (Member(username=ADA, access="keys"), Member(username=GRACE, access="keys", part=1))


def test_our_own_stacks_may_all_that_they_need() -> None:
    app = cdk.App(analytics_reporting=False)
    kept = BackupStack(app, site())
    stacks = (
        kept,
        HostStack(app, site(), kept),
        StorageStack(app, platform_manifest()),
        GroupStack(app, group_manifest(revoked=("m" + "d" * 11,), members=MEMBERS)),
    )
    calls: list[Call] = []
    for stack in stacks:
        for resource in Template.from_stack(stack).to_json()["Resources"].values():
            calls += NEEDS[resource["Type"]](resource.get("Properties", {}))
    # CDK's version is a parameter of every template; AWS's own parameters, such as the image, the simulator does not know.
    calls.append(Call("ssm:GetParameters", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/cdk-bootstrap/hnb659fds/version"))
    assert f"arn:aws:ssm:*::parameter{IMAGE.rsplit('/ubuntu/', 1)[0]}/*" in json.dumps(POLICIES)
    refused = [call for call, allowed in zip(calls, decide(calls, POLICIES), strict=True) if not allowed]
    assert refused == []
    assert len(calls) > 150


def test_a_load_balancer_s_resources_are_allowed_by_their_names() -> None:
    balancer = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:"
    calls = [
        Call("elasticloadbalancing:CreateLoadBalancer", f"{balancer}loadbalancer/app/cohort/1"),
        Call("elasticloadbalancing:CreateTargetGroup", f"{balancer}targetgroup/cohort/1"),
        Call("elasticloadbalancing:CreateListener", f"{balancer}loadbalancer/app/cohort/1"),
        Call("elasticloadbalancing:ModifyListener", f"{balancer}listener/app/cohort/1/2"),
        Call("acm:RequestCertificate", "*", {"aws:RequestTag/project": "cohort"}),
    ]
    assert decide(calls, POLICIES) == [True] * len(calls)
    other = Call("elasticloadbalancing:ModifyLoadBalancerAttributes", f"{balancer}loadbalancer/app/theirs/1")
    assert decide([other], POLICIES) == [False]


HARM = {
    "a role outside the paths": Call("iam:CreateRole", f"{IAM}role/administrator", GROUPS),
    "a role whose path only begins alike": Call("iam:CreateRole", f"{IAM}role/cohorts/x", GROUPS),
    "a role without a boundary": Call("iam:CreateRole", f"{IAM}role/cohort/x/r"),
    "a user without a boundary": Call("iam:CreateUser", f"{IAM}user/cohort/x/u"),
    "a role within a boundary of one's own": Call("iam:CreateRole", f"{IAM}role/cohort/x/r", within("cohort/x/mine")),
    "a group's role within the host's boundary": Call("iam:CreateRole", f"{IAM}role/cohort/x/r", HOST),
    "a host's role within the groups' boundary": Call("iam:CreateRole", f"{IAM}role/cohort-host/r", GROUPS),
    "a host's user": Call("iam:CreateUser", f"{IAM}user/cohort-host/u", HOST),
    "another boundary for a role": Call("iam:PutRolePermissionsBoundary", f"{IAM}role/cohort/x/r", within("cohort/x/mine")),
    "no boundary for a role": Call("iam:DeleteRolePermissionsBoundary", f"{IAM}role/cohort/x/r", GROUPS),
    "no boundary for a user": Call("iam:DeleteUserPermissionsBoundary", f"{IAM}user/cohort/x/u", GROUPS),
    "a policy in an unbound role": Call("iam:PutRolePolicy", f"{IAM}role/cohort/x/r"),
    "a policy in CDK's role": Call("iam:PutRolePolicy", f"{IAM}role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"),
    "a policy at CDK's role": Call(
        "iam:AttachRolePolicy", f"{IAM}role/cdk-hnb659fds-deploy-role-{ACCOUNT}-{REGION}", ADMINISTRATOR
    ),
    "more rights for the role that deploys": Call("iam:PutRolePolicy", f"{IAM}role/cdk-cohort-deploy-role"),
    "whom CDK's role trusts": Call("iam:UpdateAssumeRolePolicy", f"{IAM}role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"),
    "AdministratorAccess at a group's role": Call("iam:AttachRolePolicy", f"{IAM}role/cohort/x/r", GROUPS | ADMINISTRATOR),
    "AdministratorAccess at a user": Call("iam:AttachUserPolicy", f"{IAM}user/cohort/x/u", GROUPS | ADMINISTRATOR),
    "AdministratorAccess at an IAM group": Call("iam:AttachGroupPolicy", f"{IAM}group/cohort/x/g", ADMINISTRATOR),
    "a password for a user": Call("iam:CreateLoginProfile", f"{IAM}user/cohort/x/u"),
    "a key for another's user": Call("iam:CreateAccessKey", f"{IAM}user/administrator"),
    "an inline policy in another's IAM group": Call("iam:PutGroupPolicy", f"{IAM}group/administrators"),
    "another identity provider": Call("iam:CreateSAMLProvider", f"{IAM}saml-provider/mine"),
    "an administrator's role for a machine": Call(
        "iam:PassRole", f"{IAM}role/administrator", {"iam:PassedToService": "ec2.amazonaws.com"}
    ),
    "a group's role for a machine": Call("iam:PassRole", f"{IAM}role/cohort/x/r", {"iam:PassedToService": "ec2.amazonaws.com"}),
    "CDK's role for a machine": Call(
        "iam:PassRole", f"{IAM}role/cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}", {"iam:PassedToService": "ec2.amazonaws.com"}
    ),
    "the host's role for a function": Call(
        "iam:PassRole", f"{IAM}role/cohort-host/cohort-host", {"iam:PassedToService": "lambda.amazonaws.com"}
    ),
    "another's instance profile": Call("iam:AddRoleToInstanceProfile", f"{IAM}instance-profile/theirs"),
    "a machine's other profile": Call("ec2:ReplaceIamInstanceProfileAssociation", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"),
    "a machine's other script": Call("ec2:ModifyInstanceAttribute", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"),
    "a large machine": Call("ec2:RunInstances", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*", {"ec2:InstanceType": "p5.48xlarge"}),
    "our tag on another's volume": Call(
        "ec2:CreateTags",
        f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-1",
        {"aws:RequestTag/project": "cohort", "aws:ResourceTag/Name": "theirs"},
    ),
    "a function": Call("lambda:CreateFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:cohort-x"),
    "CDK's own assets": Call("s3:PutBucketPolicy", f"arn:aws:s3:::cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"),
    "what CDK put up, changed": Call("s3:PutObject", f"arn:aws:s3:::cdk-hnb659fds-assets-{ACCOUNT}-{REGION}/a.json"),
    "what CDK put up elsewhere": Call("s3:GetObject", f"arn:aws:s3:::cdk-hnb659fds-assets-999999999999-{REGION}/a.json"),
    "another's stack": Call("cloudformation:UpdateStack", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/theirs/1"),
    "the site's own stack": Call("cloudformation:UpdateStack", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Cohort-Host/1"),
    "another's bucket": Call("s3:PutBucketPolicy", "arn:aws:s3:::theirs"),
    "a group's data": Call("s3:GetObject", "arn:aws:s3:::cohort-ephys/example-lab/inputs/a"),
    "a backup": Call("s3:GetObject", f"arn:aws:s3:::{BACKUPS}/database/a"),
    "a backup's end": Call("s3:DeleteObjectVersion", f"arn:aws:s3:::{BACKUPS}/database/a"),
    "the lock of a backup": Call("s3:BypassGovernanceRetention", f"arn:aws:s3:::{BACKUPS}/database/a"),
    "how long a backup is locked": Call("s3:PutObjectRetention", f"arn:aws:s3:::{BACKUPS}/database/a"),
    "the end of a key": Call(
        "kms:ScheduleKeyDeletion", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1", {"aws:ResourceTag/project": "cohort"}
    ),
    "a key that is off": Call("kms:DisableKey", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1", {"aws:ResourceTag/project": "cohort"}),
    "a key's policy": Call("kms:PutKeyPolicy", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1", {"aws:ResourceTag/project": "cohort"}),
    "a snapshot's end": Call("backup:DeleteRecoveryPoint", f"arn:aws:backup:{REGION}:{ACCOUNT}:recovery-point:1"),
    "the vault's lock": Call("backup:DeleteBackupVaultLockConfiguration", f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:cohort"),
    "the data volume": Call(
        "ec2:DeleteVolume", f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-1", {"aws:ResourceTag/project": "cohort"}
    ),
    "another's secret": Call("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:theirs-AbCdEf"),
    "another role altogether": Call("sts:AssumeRole", f"{IAM}role/administrator"),
}


@pytest.fixture(scope="module")
def harm_done() -> dict[str, bool]:
    return dict(zip(HARM, decide(list(HARM.values()), POLICIES), strict=True))


@pytest.mark.parametrize("what", HARM)
def test_a_template_that_means_harm_is_refused(harm_done: dict[str, bool], what: str) -> None:
    assert harm_done[what] is False


def test_the_limits_cannot_be_changed_in_any_way() -> None:
    calls = [
        Call(f"iam:{action}", f"{IAM}policy/{name}")
        for name in (names.BOUNDARY_NAME, names.HOST_BOUNDARY_NAME, *names.EXECUTION_NAMES)
        for action in ("CreatePolicyVersion", "SetDefaultPolicyVersion", "DeletePolicyVersion", "DeletePolicy", "TagPolicy")
    ]
    # Not even where somebody later gives CloudFormation's role everything.
    for held in (POLICIES, POLICIES | EVERYTHING):
        assert not any(decide(calls, held))


def test_a_bound_principal_with_every_right_reaches_the_analysis_buckets_alone() -> None:
    limit = boundary(PATTERNS, REGION)
    principal = f"{IAM}user/cohort/x/u"
    inside = [Call("s3:GetObject", "arn:aws:s3:::cohort-ephys/x/inputs/a"), Call("s3:ListBucket", "arn:aws:s3:::cohort-ephys")]
    outside = [
        Call("iam:CreateUser", f"{IAM}user/x"),
        Call("sts:AssumeRole", f"{IAM}role/cdk-cohort-deploy-role"),
        Call("cloudformation:CreateStack", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/x/1"),
        Call("s3:GetObject", f"arn:aws:s3:::{BACKUPS}/database/a"),
        Call("s3:GetObject", f"arn:aws:s3:::{STATE}/manifests/platform.json"),
        Call("s3:PutObject", f"arn:aws:s3:::cdk-hnb659fds-assets-{ACCOUNT}-{REGION}/a"),
        Call("s3:GetObject", "arn:aws:s3:::theirs/a"),
        Call("s3:PutBucketPolicy", "arn:aws:s3:::cohort-ephys"),
    ]
    assert decide(inside, EVERYTHING, boundary=limit, principal=principal) == [True, True]
    assert not any(decide(outside, EVERYTHING, boundary=limit, principal=principal))


def test_a_bucket_s_own_policy_gives_nobody_bound_the_backups() -> None:
    opened = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"{IAM}user/cohort/x/u"}, "Action": "s3:*", "Resource": "*"}],
    }
    call = Call("s3:GetObject", f"arn:aws:s3:::{BACKUPS}/database/a")
    user = f"{IAM}user/cohort/x/u"
    assert decide([call], {}, boundary=boundary(PATTERNS, REGION), resource_policy=opened, principal=user) == [False]


def test_a_role_of_the_host_with_every_right_stays_within_the_host_s_boundary() -> None:
    limit = bootstrap.host_boundary(ACCOUNT, REGION)
    outside = [
        Call("iam:CreateUser", f"{IAM}user/cohort/x/u", GROUPS),
        Call("iam:PutRolePolicy", f"{IAM}role/cohort-host/cohort-web", HOST),
        Call("sts:AssumeRole", f"{IAM}role/administrator"),
        Call("s3:DeleteObjectVersion", f"arn:aws:s3:::{BACKUPS}/database/a"),
        Call("s3:BypassGovernanceRetention", f"arn:aws:s3:::{BACKUPS}/database/a"),
        Call("kms:ScheduleKeyDeletion", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"),
        Call("cloudformation:CreateStack", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/x/1"),
    ]
    assert not any(decide(outside, EVERYTHING, boundary=limit, principal=f"{IAM}role/cohort-host/x"))


HOST_CALLS = [
    Call("sts:AssumeRole", f"{IAM}role/cdk-cohort-deploy-role"),
    Call("sts:AssumeRole", f"{IAM}role/cohort-host/cohort-web"),
    Call("sts:AssumeRole", f"{IAM}role/cohort/x/cohort-x"),
    Call("s3:PutObject", f"arn:aws:s3:::{BACKUPS}/database/a"),
    Call("s3:GetObject", f"arn:aws:s3:::{STATE}/manifests/platform.json"),
    Call("s3:GetObject", f"arn:aws:s3:::cdk-hnb659fds-assets-{ACCOUNT}-{REGION}/a.zip"),
    Call("ec2:AttachVolume", f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-1", {"aws:ResourceTag/project": "cohort"}),
    Call("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:cohort-host/settings-AbCdEf"),
    Call("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Cohort"}),
    Call("logs:PutLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/cohort/host:log-stream:i-1/boot"),
    Call("cloudformation:SignalResource", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Cohort-Host/1"),
    Call("cloudformation:DescribeStacks", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Group-x/1"),
    Call("cloudformation:DescribeAccountLimits", "*"),
    Call("cloudformation:ListStacks", "*"),
    Call("iam:GetAccountSummary", "*"),
    Call("iam:ListAccessKeys", f"{IAM}user/cohort/x/u"),
    Call("iam:GetAccessKeyLastUsed", f"{IAM}user/cohort/x/u"),
]


def test_the_worker_may_all_that_it_needs_within_its_boundary() -> None:
    held = {"worker": host_policies.worker_policy(site())}
    limit = bootstrap.host_boundary(ACCOUNT, REGION)
    worker = f"{IAM}role/cohort-host/cohort-host"
    assert all(decide(HOST_CALLS, held, boundary=limit, principal=worker))
    others = [
        Call("sts:AssumeRole", f"{IAM}role/cdk-hnb659fds-{role}-{ACCOUNT}-{REGION}")
        for role in ("deploy-role", "lookup-role", "cfn-exec-role", "image-publishing-role")
    ]
    assert not any(decide(others, held, boundary=limit, principal=worker))


def test_the_worker_deletes_an_analysis_bucket_and_never_one_of_the_site_s_own_or_of_cdk() -> None:
    held = {"worker": host_policies.worker_policy(site())}
    limit = bootstrap.host_boundary(ACCOUNT, REGION)
    worker = f"{IAM}role/cohort-host/cohort-host"
    ours = [Call(f"s3:{action}", "arn:aws:s3:::cohort-ephys") for action in ("DeleteBucket", "ListBucketVersions")]
    ours += [Call(f"s3:{action}", "arn:aws:s3:::cohort-ephys/a") for action in ("DeleteObjectVersion", "AbortMultipartUpload")]
    assert all(decide(ours, held, boundary=limit, principal=worker))
    others = [Call("s3:DeleteBucket", f"arn:aws:s3:::{name}") for name in (BACKUPS, STATE, "cdk-hnb659fds-assets", "theirs")]
    others += [Call(f"s3:{action}", "arn:aws:s3:::cohort-ephys") for action in ("DeleteBucketPolicy", "PutBucketPolicy")]
    assert not any(decide(others, held, boundary=limit, principal=worker))
    # By its own policy without the boundary, and within the boundary whatever its own policy says one day.
    assert not any(decide(others[:2], held, principal=worker))
    assert not any(decide(others[:3], EVERYTHING, boundary=limit, principal=worker))


def test_the_web_process_acts_for_members_and_can_do_nothing_else() -> None:
    held = {"web": host_policies.web_policy(site())}
    allowed = decide(
        HOST_CALLS, held, boundary=bootstrap.host_boundary(ACCOUNT, REGION), principal=f"{IAM}role/cohort-host/cohort-web"
    )
    assert [call.resource for call, can in zip(HOST_CALLS, allowed, strict=True) if can] == [f"{IAM}role/cohort/x/cohort-x"]
    others = [Call("iam:CreateUser", f"{IAM}user/cohort/x/u", GROUPS), Call("iam:ListUsers", "*")]
    others.append(Call("cloudformation:CreateStack", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Group-x/1"))
    assert not any(decide(others, held, principal=f"{IAM}role/cohort-host/cohort-web"))


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    with EmbeddedAws(free_port(), tmp_path_factory.mktemp("aws")) as running:
        yield running


def deploy(aws: EmbeddedAws, patterns: list[str]) -> bool:
    return bootstrap.deploy(boto3.Session(ACCOUNT, "root"), REGION, patterns, endpoint=aws.endpoint)


def client(aws: EmbeddedAws, service: str, key: tuple[str, ...] = (ACCOUNT, "root")) -> Any:
    return make_client(
        service,
        endpoint_url=aws.endpoint,
        region_name=REGION,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        aws_session_token=key[2] if len(key) > 2 else None,
    )


def test_it_is_deployed_brought_up_to_date_and_left_alone(aws: EmbeddedAws) -> None:
    def held() -> str:
        iam = client(aws, "iam")
        arn = names.boundary_arn(ACCOUNT, REGION)
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return json.dumps(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])

    assert deploy(aws, PATTERNS) is True
    assert deploy(aws, PATTERNS) is False
    assert "lab-data" not in held()
    assert deploy(aws, [*PATTERNS, "lab-data-*"]) is True
    assert "lab-data-*" in held()
    assert deploy(aws, PATTERNS) is True


def test_the_command_says_what_it_did_and_what_comes_next(aws: EmbeddedAws) -> None:
    environment = {"PATH": "/usr/bin:/bin", "AWS_ENDPOINT_URL": aws.endpoint, "AWS_ACCESS_KEY_ID": ACCOUNT}
    environment |= {"AWS_SECRET_ACCESS_KEY": "root"}
    command = [sys.executable, "-m", "stacks.bootstrap", "deploy", "--region", REGION, "--patterns", *PATTERNS]
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "nothing to change" in done.stdout
    assert f"cdk bootstrap aws://{ACCOUNT}/{REGION}" in done.stdout
    assert bootstrap.execution_arns(ACCOUNT, REGION) in done.stdout


@pytest.mark.parametrize(
    "pattern", ["*", "c*", "cdk*", "cdk-hnb*", "aws-x-*", "cohort-backups-1", "Cohort-*", "co*rt-*", "cohort-?"]
)
def test_a_bad_pattern_is_a_clear_error(pattern: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"cohort: The pattern .* bucket"):
        bootstrap.main(["template", "--account", ACCOUNT, "--region", REGION, "--patterns", pattern])
    assert capsys.readouterr().out == ""


def test_the_template_is_printed_without_asking_aws(capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.main(["template", "--account", ACCOUNT, "--region", REGION])
    printed = json.loads(capsys.readouterr().out)
    made = [resource["Properties"] for resource in printed["Resources"].values()]
    policies = {policy["ManagedPolicyName"] for policy in made if "ManagedPolicyName" in policy}
    assert policies == {names.BOUNDARY_NAME, names.HOST_BOUNDARY_NAME, *names.EXECUTION_NAMES}
    assert [role["RoleName"] for role in made if "RoleName" in role] == [names.DEPLOY_ROLE]


def test_the_web_process_s_key_reaches_no_cloudformation_and_can_act_for_a_group(aws: EmbeddedAws) -> None:
    deploy(aws, PATTERNS)
    policy = host_policies.web_policy(site())
    key = create_identity(aws.endpoint, ACCOUNT, REGION, "web", policy)
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"{IAM}root"}, "Action": "sts:AssumeRole"}],
    }
    iam = client(aws, "iam")
    for path, name in (("/cohort/x/", "cohort-x"), ("/", "cdk-theirs-deploy-role"), ("/cohort-host/", "cohort-host")):
        iam.create_role(Path=path, RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    sts, cloudformation = client(aws, "sts", key), client(aws, "cloudformation", key)
    assert sts.assume_role(RoleArn=f"{IAM}role/cohort/x/cohort-x", RoleSessionName="ada")["Credentials"]
    refused = [
        lambda: cloudformation.describe_stacks(),
        lambda: cloudformation.create_stack(StackName="Group-x", TemplateBody="{}"),
        lambda: client(aws, "iam", key).list_users(),
        lambda: sts.assume_role(RoleArn=f"{IAM}role/cdk-theirs-deploy-role", RoleSessionName="web"),
        lambda: sts.assume_role(RoleArn=names.deploy_role_arn(ACCOUNT, REGION), RoleSessionName="web"),
        lambda: sts.assume_role(RoleArn=f"{IAM}role/cohort-host/cohort-host", RoleSessionName="web"),
    ]
    for call in refused:
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
