"""What the policies allow of what AWS asks, and refuse of what it would allow: each by an IAM simulator."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

from stacks import bootstrap, names, policies
from stacks.group.group_stack import GroupStack
from stacks.group.storage_stack import StorageStack
from stacks.manifest import Member
from stacks.site import host_policies
from stacks.site.backup_stack import BackupStack
from stacks.site.deploy_role import deploy_policy
from stacks.site.execution import execution_policies
from stacks.site.host_stack import HostStack
from tests.calls.listed import RESIDENT, read_list
from tests.stacks.builders import ADA, GRACE, group_manifest, platform_manifest, site
from tests.stacks.simulation import ACCOUNT, Call, decide
from tests.stacks.simulation.handlers import calls, handlers
from tests.stacks.simulation.needs import ASKED, OURS, REGION

POLICIES = execution_policies(ACCOUNT, REGION, ["cohort-*"])
EVERYTHING = {"everything": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}}
IAM = f"arn:aws:iam::{ACCOUNT}:"
CDK = f"{IAM}role/cdk-hnb659fds-"
ITSELF = f"{CDK}cfn-exec-role-{ACCOUNT}-{REGION}"
WORKER = f"{IAM}role/cohort-host/cohort-host"
BACKUPS = f"arn:aws:s3:::cohort-backups-{ACCOUNT}-{REGION}"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
ALIAS = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/cohort-backups"
SNAPSHOT = f"arn:aws:ec2:{REGION}::snapshot/snap-1"
TO_CLOUDFORMATION = {"iam:PassedToService": "cloudformation.amazonaws.com"}
NAMED_BY_OTHERS = {"kms:ResourceAliases": ["alias/payroll"]}
LIKE_OURS = {"ec2:Encrypted": "true", "ec2:VolumeType": "gp3"}
MEMBERS = (Member(username=ADA, access="keys"), Member(username=GRACE, access="keys", part=1))
FOR_AWS = {"kms:GrantIsForAWSResource": "true"}


def ec2(kind: str) -> str:
    return f"arn:aws:ec2:{REGION}:{ACCOUNT}:{kind}/{kind}-1"


def every_resource() -> list[dict[str, Any]]:
    app = cdk.App(analytics_reporting=False)
    kept = BackupStack(app, site())
    stacks = (kept, HostStack(app, site(), kept), *shared_and_group(app))
    return [resource for stack in stacks for resource in Template.from_stack(stack).to_json()["Resources"].values()]


def shared_and_group(app: cdk.App) -> tuple[cdk.Stack, cdk.Stack]:
    """The stacks that the worker looks for drift in."""
    return StorageStack(app, platform_manifest()), GroupStack(app, group_manifest(members=MEMBERS))


@pytest.fixture(scope="module")
def resources() -> list[dict[str, Any]]:
    return every_resource()


def refused(asked: list[Call], held: dict[str, Any], **more: Any) -> list[Call]:
    return [call for call, allowed in zip(asked, decide(asked, held, **more), strict=True) if not allowed]


# Each right with the statements that it comes from, so that it is seen to be gone without them.
RIGHTS = {
    "a nested stack, by passing its own role on": (["PassItself"], [Call("iam:PassRole", ITSELF, TO_CLOUDFORMATION)]),
    "a volume from one of our snapshots": (
        ["Restore"],
        # As AWS Backup leaves it: with the tags of the volume, and one of its own.
        [Call("ec2:CreateVolume", SNAPSHOT, OURS | {"aws:ResourceTag/aws:backup:source-resource": "volume/vol-1"})],
    ),
    "a new key, before its tags are known": (
        ["KeyYetUntagged", "GrantYetUntagged"],
        [
            Call(f"kms:{action}", KEY, FOR_AWS if action == "CreateGrant" else {})
            for action in (
                "EnableKeyRotation",
                "CreateAlias",
                "DescribeKey",
                "GenerateDataKey",
                "Decrypt",
                "CreateGrant",
                "DeleteAlias",
            )
        ],
    ),
    "a new key, as soon as its tags and alias are known": (
        ["Key", "Grant", "KeyYetUntagged", "GrantYetUntagged"],
        [
            Call(
                f"kms:{action}",
                KEY,
                OURS | {"kms:ResourceAliases": ["alias/cohort-backups"]} | (FOR_AWS if action == "CreateGrant" else {}),
            )
            for action in (
                "EnableKeyRotation",
                "CreateAlias",
                "DescribeKey",
                "GenerateDataKey",
                "Decrypt",
                "CreateGrant",
                "DeleteAlias",
            )
        ],
    ),
    "other tags on our key": (["Key"], [Call("kms:TagResource", KEY, OURS), Call("kms:UntagResource", KEY, OURS)]),
    "tags in a second call": (
        ["TagUntagged"],
        [
            Call("ec2:CreateTags", ec2(kind), ASKED | (LIKE_OURS if kind == "volume" else {}))
            for kind in ("vpc", "subnet", "route-table", "internet-gateway", "security-group", "elastic-ip", "volume")
        ],
    ),
    "settings before the tags": (
        ["FinishUntagged"],
        [
            Call("ec2:AuthorizeSecurityGroupIngress", ec2("security-group")),
            Call("ec2:RevokeSecurityGroupEgress", ec2("security-group")),
            Call("ec2:ModifySubnetAttribute", ec2("subnet")),
            Call("ec2:ModifyVpcAttribute", ec2("vpc")),
        ],
    ),
    "the end of a bucket's policy, and of an empty bucket": (
        ["Buckets"],
        [
            Call(f"s3:{action}", bucket)
            for action in ("DeleteBucketPolicy", "DeleteBucket")
            for bucket in (BACKUPS, "arn:aws:s3:::cohort-x")
        ],
    ),
    "the end of the key's alias": (["Alias"], [Call("kms:DeleteAlias", ALIAS)]),
    "the end of an empty vault": (
        ["Backup"],
        [Call("backup:DeleteBackupVault", f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:cohort")],
    ),
    "the end of the logs": (["Logs"], [Call("logs:DeleteLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/cohort/host")]),
    "the end of the settings": (
        ["Secrets"],
        [Call("secretsmanager:DeleteSecret", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:cohort-host/settings-AbCdEf")],
    ),
    "a look at the types' configurations": (["NoResource"], [Call("cloudformation:BatchDescribeTypeConfigurations", "*")]),
}


@pytest.mark.parametrize("what", RIGHTS)
def test_cloudformation_may_do_what_aws_asks_of_it(what: str) -> None:
    statements, asked = RIGHTS[what]
    assert refused(asked, POLICIES) == []
    without = {
        name: {**document, "Statement": [statement for statement in document["Statement"] if statement["Sid"] not in statements]}
        for name, document in POLICIES.items()
    }
    assert refused(asked, without) == asked


HARM = {
    "its own role for a machine": Call("iam:PassRole", ITSELF, {"iam:PassedToService": "ec2.amazonaws.com"}),
    "its own role for nobody named": Call("iam:PassRole", ITSELF),
    "another bootstrap's role for a stack": Call(
        "iam:PassRole", f"{IAM}role/cdk-theirs-cfn-exec-role-{ACCOUNT}-{REGION}", TO_CLOUDFORMATION
    ),
    "another region's role for a stack": Call("iam:PassRole", f"{CDK}cfn-exec-role-{ACCOUNT}-eu-west-1", TO_CLOUDFORMATION),
    "an administrator's role for a stack": Call("iam:PassRole", f"{IAM}role/administrator", TO_CLOUDFORMATION),
    "a policy in its own role": Call("iam:PutRolePolicy", ITSELF),
    "the end of its own role": Call("iam:DeleteRole", ITSELF),
    "the policy of a key": Call("kms:PutKeyPolicy", KEY, OURS),
    "the policy of a key without tags or alias": Call("kms:PutKeyPolicy", KEY),
    "the end of a key without tags or alias": Call("kms:ScheduleKeyDeletion", KEY),
    "the data volume": Call("ec2:DeleteVolume", ec2("volume"), OURS),
    "a snapshot in the vault": Call("backup:DeleteRecoveryPoint", f"arn:aws:backup:{REGION}:{ACCOUNT}:recovery-point:1"),
    "the vault's lock": Call("backup:DeleteBackupVaultLockConfiguration", f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:cohort"),
    "the vault's policy": Call("backup:DeleteBackupVaultAccessPolicy", f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:cohort"),
}


@pytest.mark.parametrize("what", HARM)
def test_what_cloudformation_never_does_is_denied_whatever_else_it_is_given(what: str) -> None:
    assert refused([HARM[what]], POLICIES | EVERYTHING) == [HARM[what]]


THEIRS = {
    "a volume from another's snapshot": Call("ec2:CreateVolume", SNAPSHOT),
    "a key with another's alias, tagged as ours": Call("kms:TagResource", KEY, ASKED | NAMED_BY_OTHERS),
    "a key with another's alias, used": Call("kms:Decrypt", KEY, NAMED_BY_OTHERS),
    "a key with another's alias, granted": Call("kms:CreateGrant", KEY, NAMED_BY_OTHERS | FOR_AWS),
    "our alias for a key with another's": Call("kms:CreateAlias", KEY, NAMED_BY_OTHERS),
    "another's alias": Call("kms:DeleteAlias", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/payroll"),
    "another's volume, tagged as ours": Call("ec2:CreateTags", ec2("volume"), ASKED | LIKE_OURS | {"aws:ResourceTag/Name": "db"}),
    "a volume that is not like ours": Call(
        "ec2:CreateTags", ec2("volume"), ASKED | {"ec2:Encrypted": "false", "ec2:VolumeType": "gp3"}
    ),
    "another's instance, tagged as ours": Call("ec2:CreateTags", ec2("instance"), ASKED),
    "another's rules": Call("ec2:AuthorizeSecurityGroupIngress", ec2("security-group"), {"aws:ResourceTag/Name": "theirs"}),
    "another's network, gone": Call("ec2:DeleteVpc", ec2("vpc")),
    "another tag alone": Call("ec2:CreateTags", ec2("vpc"), {"aws:RequestTag/owner": "me"}),
    "another bootstrap's templates": Call("s3:GetObject", f"arn:aws:s3:::cdk-theirs-assets-{ACCOUNT}-{REGION}/a.json"),
    "another's logs": Call("logs:DeleteLogGroup", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/theirs"),
}


@pytest.mark.parametrize("what", THEIRS)
def test_what_is_somebody_else_s_in_the_account_is_left_alone(what: str) -> None:
    assert refused([THEIRS[what]], POLICIES) == [THEIRS[what]]


def test_every_read_handler_may_read_so_that_drift_is_found(resources: list[dict[str, Any]]) -> None:
    """CloudFormation user guide, "Detecting drift": each type's own read permissions, whatever properties the template sets."""
    asked = [call for resource in resources for call in calls("read", resource["Type"], resource.get("Properties", {}))]
    assert refused(asked, POLICIES) == []
    assert {"s3:GetMetricsConfiguration", "s3:ListTagsForResource", "cloudformation:GetStackPolicy"} <= {
        call.action for call in asked
    }


def test_the_worker_may_read_all_that_it_looks_for_drift_in() -> None:
    app = cdk.App(analytics_reporting=False)
    looked_at = [
        resource for stack in shared_and_group(app) for resource in Template.from_stack(stack).to_json()["Resources"].values()
    ]
    asked = [call for resource in looked_at for call in calls("read", resource["Type"], resource.get("Properties", {}))]
    asked.append(Call("cloudformation:BatchDescribeTypeConfigurations", "*"))
    held = {"worker": host_policies.worker_policy(site())}
    assert refused(asked, held, boundary=bootstrap.host_boundary(ACCOUNT, REGION), principal=WORKER) == []
    assert len(asked) > 50


def test_every_delete_handler_may_delete_what_is_not_kept_for_ever(resources: list[dict[str, Any]]) -> None:
    """A stack's removal, and a creation that is taken back, remove all but what is retained; a retained one has no fixed name."""
    asked = [
        call
        for resource in resources
        if resource.get("DeletionPolicy") != "Retain"
        for call in calls("delete", resource["Type"], resource.get("Properties", {}))
    ]
    assert refused(asked, POLICIES) == []
    assert {"s3:DeleteBucketPolicy", "kms:DeleteAlias", "sns:DeleteTopic"} <= {call.action for call in asked}


def test_a_key_is_made_though_its_policy_cannot_be_changed_afterwards(resources: list[dict[str, Any]]) -> None:
    """KMS API reference, CreateKey: the caller can call PutKeyPolicy afterwards, or sets BypassPolicyLockoutSafetyCheck."""
    keys = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::KMS::Key"]
    changes = [Call("kms:PutKeyPolicy", KEY), Call("kms:PutKeyPolicy", KEY, OURS)]
    assert refused(changes, POLICIES) == changes
    assert [key["BypassPolicyLockoutSafetyCheck"] for key in keys] == [True]
    # Nobody is locked out by that: the account's own policies decide who may change the key's.
    (statement,) = keys[0]["KeyPolicy"]["Statement"]
    assert (statement["Action"], statement["Effect"], statement.get("Condition")) == ("kms:*", "Allow", None)
    assert "root" in json.dumps(statement["Principal"])
    assert "kms:PutKeyPolicy" in handlers("AWS::KMS::Key")["create"]


def deploy_roles(qualifier: str, account: str, region: str) -> list[Call]:
    roles = (f"cdk-{qualifier}-{kind}-{account}-{region}" for kind in ("deploy-role", "file-publishing-role"))
    return [Call("sts:AssumeRole", f"arn:aws:iam::{account}:role/{role}") for role in roles]


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_the_worker_deploys_through_the_site_s_own_bootstrap_alone(region: str) -> None:
    """Any other bootstrap leaves roles that all of the account may assume, with an administrator behind them (CDK's default)."""
    ours = site(region=region)
    limit = bootstrap.host_boundary(ACCOUNT, region)
    cdk_s_own, publishing = deploy_roles("hnb659fds", ACCOUNT, region)
    own = [Call("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/cdk-cohort-deploy-role"), publishing]
    other_region = "eu-west-1" if region == "us-east-1" else "us-east-1"
    others = [*deploy_roles("theirs", ACCOUNT, region), *deploy_roles("hnb659fds", ACCOUNT, other_region)]
    # CDK's own deploy role may change any stack of the account, also as somebody else's administrator.
    others += [
        cdk_s_own,
        Call("sts:AssumeRole", f"{own[0].resource}-2"),
        Call("sts:AssumeRole", f"{CDK}lookup-role-{ACCOUNT}-{region}"),
    ]
    others.append(Call("ssm:GetParameter", f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/cdk-bootstrap/theirs/version"))
    others.append(Call("s3:GetObject", f"arn:aws:s3:::cdk-theirs-assets-{ACCOUNT}-{region}/a.zip"))
    policy = {"worker": host_policies.worker_policy(ours)}
    assert refused(own, policy, boundary=limit, principal=WORKER) == []
    assert refused(others, policy, principal=WORKER) == others
    # Nor where the role is given everything: the boundary names them too.
    assert refused(own, EVERYTHING, boundary=limit, principal=WORKER) == []
    assert refused(others, EVERYTHING, boundary=limit, principal=WORKER) == others


def test_the_role_that_deploys_reaches_the_stacks_of_groups_and_analyses_alone() -> None:
    role, stack = names.deploy_role_arn(ACCOUNT, REGION), f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack"
    policy = {"deploy": deploy_policy(ACCOUNT, REGION)}
    listed = [call for call in read_list() if call.process == RESIDENT and call.principal != "own"]
    actions = [call.call for call in listed if call.call.startswith("cloudformation:")]
    assert {"cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"} <= set(actions)
    ours = ("Group-example-lab", "Group-example-lab-KeyHolders1-ABC", "Cohort-Storage", "Cohort-Storage-2")
    execution = names.cdk_role_arn(ACCOUNT, REGION, "cfn-exec-role")
    own = [Call(action, f"{stack}/{name}/1") for action in actions for name in ours]
    own.append(Call("iam:PassRole", execution, TO_CLOUDFORMATION))
    own += [Call("s3:GetObject", f"arn:aws:s3:::cdk-hnb659fds-assets-{ACCOUNT}-{REGION}/a.json")]
    own.append(Call("ssm:GetParameters", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/cdk-bootstrap/hnb659fds/version"))
    assert refused(own, policy, principal=role) == []
    elsewhere = ("Payroll", "Cohort-Host", "Cohort-Backup", "Cohort-Bootstrap", "CDKToolkit")
    beyond = [Call(action, f"{stack}/{name}/1") for action in actions for name in elsewhere]
    beyond.append(Call("iam:PassRole", f"{IAM}role/administrator", TO_CLOUDFORMATION))
    beyond.append(Call("iam:PassRole", execution, {"iam:PassedToService": "ec2.amazonaws.com"}))
    beyond += [Call("s3:GetObject", "arn:aws:s3:::cohort-ephys/a"), Call("s3:PutObject", own[-2].resource)]
    assert refused(beyond, policy, principal=role) == beyond


def test_cdk_deploys_by_the_names_that_the_policies_hold(tmp_path: Path) -> None:
    app = cdk.App(analytics_reporting=False, outdir=str(tmp_path))
    shared_and_group(app)
    app.synth()
    said = json.loads((tmp_path / "manifest.json").read_text())["artifacts"]["Cohort-Storage"]["properties"]
    said |= json.loads((tmp_path / "Cohort-Storage.assets.json").read_text())
    text = json.dumps(said).replace("${AWS::Partition}", "aws").replace("${AWS::AccountId}", ACCOUNT)
    assert f'"{names.deploy_role_arn(ACCOUNT, REGION)}"' in text
    for kind in ("cfn-exec-role", "file-publishing-role"):
        assert f'"{names.cdk_role_arn(ACCOUNT, REGION, kind)}"' in text
    assert f'"{names.cdk_assets(ACCOUNT, REGION)}"' in text
    assert f'"{names.cdk_version_parameter()}"' in text


def test_cdk_looks_stacks_up_by_no_role_that_the_worker_may_not_take(tmp_path: Path) -> None:
    """CDK's command line takes the role that a stack names for that, and warns in the log where it may not."""
    app = cdk.App(analytics_reporting=False, outdir=str(tmp_path))
    shared_and_group(app)
    app.synth()
    artifacts = json.loads((tmp_path / "manifest.json").read_text())["artifacts"].values()
    stacks = [artifact["properties"] for artifact in artifacts if artifact["type"] == "aws:cloudformation:stack"]
    roles = [
        stack["lookupRole"]["arn"].replace("${AWS::Partition}", "aws").replace("${AWS::AccountId}", ACCOUNT) for stack in stacks
    ]
    assert roles == [names.deploy_role_arn(ACCOUNT, REGION)] * 2


def test_keys_that_aws_manages_are_left_within_the_boundaries_by_way_of_their_services_alone() -> None:
    """No document says whether a boundary cuts what the policy of such a key gives: so the boundaries leave it."""
    member = {"principal": f"{IAM}user/cohort/x/u", "boundary": policies.boundary(["cohort-*"], REGION)}
    host = {"principal": WORKER, "boundary": bootstrap.host_boundary(ACCOUNT, REGION)}
    via = {service: {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"} for service in ("ec2", "s3", "secretsmanager", "ssm")}
    decrypt = {name: Call("kms:Decrypt", KEY, context) for name, context in via.items()}
    assert refused([decrypt["s3"], Call("kms:GenerateDataKey", KEY, via["s3"])], EVERYTHING, **member) == []
    ways = [decrypt["ec2"], decrypt["s3"], decrypt["secretsmanager"], Call("kms:GenerateDataKeyWithoutPlaintext", KEY, via["ec2"])]
    assert refused(ways, EVERYTHING, **host) == []
    beside = [Call("kms:Decrypt", KEY), decrypt["ssm"]]
    further = [decrypt["ec2"], decrypt["secretsmanager"], Call("kms:CreateGrant", KEY, via["s3"]), Call("kms:ListAliases", "*")]
    assert refused([*beside, *further], EVERYTHING, **member) == [*beside, *further]
    ends = [Call("kms:ScheduleKeyDeletion", KEY, via["s3"]), Call("kms:PutKeyPolicy", KEY, via["ec2"])]
    assert refused([*beside, *ends], EVERYTHING, **host) == [*beside, *ends]


def test_a_policy_with_a_name_keeps_its_description_for_ever(resources: list[dict[str, Any]]) -> None:
    """CloudFormation template reference: another Description replaces the policy, which its fixed name forbids.

    So every site that exists would fail to be brought up to date. These are not to be reworded, here or there.
    """
    made = bootstrap.template(ACCOUNT, REGION, ["cohort-*"])["Resources"].values()
    described = {
        resource["Properties"]["ManagedPolicyName"]: resource["Properties"]["Description"]
        for resource in [*made, *resources]
        if resource["Type"] == "AWS::IAM::ManagedPolicy"
    }
    assert described == {
        "cohort-boundary": "The most that any principal of any group can ever do: S3 on the analysis buckets",
        "cohort-host-boundary": "The most that any role of the host of Cohort can ever do",
        "cohort-execution": "CloudFormation for Cohort: what it never does, and principals within the boundaries",
        "cohort-execution-data": "CloudFormation for Cohort: buckets, secrets, backups and alarms",
        "cohort-execution-network": "CloudFormation for Cohort: the network and the machine",
        "cohort-example-lab-1": "What the group example-lab may do with its analyses",
    }
    groups = [resource["Properties"] for resource in resources if resource["Type"] == "AWS::EC2::SecurityGroup"]
    assert [group.get("GroupName") for group in groups] == [None] * len(groups)
