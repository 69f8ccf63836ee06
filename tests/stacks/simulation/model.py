"""A model of an account that a site of ours shares with others: every principal with its policies, boundary and trust.

Ours are those of the synthesised templates and of Cohort-Bootstrap; CDK's roles are those of the pinned CDK's own bootstrap.
Beside them are an administrator, two further bootstraps, and what belongs to somebody else: a user, a function, a machine, a
stack, a secret, a key.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from stacks import bootstrap, names
from stacks.site.deploy_role import deploy_role
from tests.stacks.simulation import ACCOUNT
from tests.stacks.simulation.settings import HOME, PATTERNS, home

TEMPLATE = Path(__file__).resolve().parents[3] / "node_modules/aws-cdk/lib/api/bootstrap/bootstrap-template.yaml"
IAM = f"arn:aws:iam::{ACCOUNT}:"
ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
LOOKING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["cloudformation:Describe*", "cloudformation:Get*"], "Resource": "*"}],
}
# What AWS itself keeps. Of the two that only look, what could lead anywhere.
OF_AWS = {
    ADMINISTRATOR_ACCESS: EVERYTHING,
    "arn:aws:iam::aws:policy/AWSCloudFormationReadOnlyAccess": LOOKING,
    "arn:aws:iam::aws:policy/ReadOnlyAccess": LOOKING,
}
# Whose conditions of the bootstrap's template hold; every other one does not.
HOLDS = {"HasCloudFormationExecutionPolicies", "ShouldDenyExternalId"}


@dataclass(frozen=True)
class Principal:
    """A role or user. `attached` names managed policies, also those of its IAM groups."""

    arn: str
    inline: Mapping[str, Any] = field(default_factory=dict)
    attached: tuple[str, ...] = ()
    boundary: str = ""
    # Of a role alone.
    trust: Any = None

    @property
    def kind(self) -> str:
        """`role` or `user`."""
        return self.arn.split(":")[5].partition("/")[0]


@dataclass(frozen=True)
class Thing:
    """Something that acts as a principal, or hands out its credentials, to whoever may do one of these (each a list of calls)."""

    name: str
    arn: str
    leads_to: str
    ways: tuple[tuple[str, ...], ...]
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    """Who and what is in the account."""

    principals: Mapping[str, Principal]
    policies: Mapping[str, Any]
    groups: tuple[str, ...]
    things: tuple[Thing, ...]


@cache
def shared_account() -> Model:
    """The account of a site with two groups, and of others."""
    principals = [
        *_ours(),
        _deploying(),
        *_of_cdk(names.CDK_QUALIFIER, HOME, bootstrap.execution_arns(ACCOUNT, HOME).split(",")),
        *_theirs(),
    ]
    made = {resource.physical_id: resource.properties["PolicyDocument"] for resource in _resources("AWS::IAM::ManagedPolicy")}
    limits = {
        names.policy_arn(ACCOUNT, HOME, name): document
        for name, document in bootstrap.policy_documents(ACCOUNT, HOME, PATTERNS).items()
    }
    groups = {group.physical_id: group.properties for group in _resources("AWS::IAM::Group")}
    return Model(
        {principal.arn: principal for principal in principals},
        {**made, **limits, **OF_AWS},
        (*(f"{IAM}group{held['Path']}{name}" for name, held in groups.items()), f"{IAM}group/administrators"),
        (*_things(), foreign_stack()),
    )


def with_inline(model: Model, arn: str, document: Any) -> Model:
    """The same account, where this principal has one inline policy instead of its own."""
    changed = replace(model.principals[arn], inline={"instead": document})
    return replace(model, principals={**model.principals, arn: changed})


def with_policy(model: Model, arn: str, document: Any) -> Model:
    """The same account, where this managed policy says something else."""
    return replace(model, policies={**model.policies, arn: document})


def _resources(kind: str) -> list[Any]:
    return [resource for resource in home()[0].resources if resource.kind == kind]


def _ours() -> Iterator[Principal]:
    groups = {resource.physical_id: resource.properties for resource in _resources("AWS::IAM::Group")}
    for kind, name in (("role", "RoleName"), ("user", "UserName")):
        for item in _resources(f"AWS::IAM::{kind.title()}"):
            held = item.properties
            parts = [held, *(groups[group] for group in held.get("Groups", ()))]
            yield Principal(
                f"{IAM}{kind}{held['Path']}{held[name]}",
                {policy["PolicyName"]: policy["PolicyDocument"] for part in parts for policy in part.get("Policies", ())},
                tuple(arn for part in parts for arn in part.get("ManagedPolicyArns", ())),
                held["PermissionsBoundary"],
                held.get("AssumeRolePolicyDocument"),
            )


def _deploying() -> Principal:
    """The role of Cohort-Bootstrap that deploys groups and analyses."""
    held = deploy_role(ACCOUNT, HOME)
    inline = {policy["PolicyName"]: policy["PolicyDocument"] for policy in held["Policies"]}
    return Principal(names.deploy_role_arn(ACCOUNT, HOME), inline, trust=held["AssumeRolePolicyDocument"])


def _theirs() -> Iterator[Principal]:
    account = _trust({"AWS": f"{IAM}root"})
    yield from _of_cdk("theirs", HOME, [ADMINISTRATOR_ACCESS])
    yield from _of_cdk(names.CDK_QUALIFIER, "eu-west-1", [ADMINISTRATOR_ACCESS])
    yield Principal(f"{IAM}role/administrator", attached=(ADMINISTRATOR_ACCESS,), trust=account)
    for service in ("lambda", "ec2"):
        trust = _trust({"Service": f"{service}.amazonaws.com"})
        yield Principal(f"{IAM}role/theirs-{service}", attached=(ADMINISTRATOR_ACCESS,), trust=trust)
    yield Principal(f"{IAM}user/operator", attached=(ADMINISTRATOR_ACCESS,))
    yield Principal(f"{IAM}user/somebody")


def _things() -> Iterator[Thing]:
    here = f"{HOME}:{ACCOUNT}"
    operator = f"{IAM}user/operator"
    yield Thing(
        "their function", f"arn:aws:lambda:{here}:function:theirs", f"{IAM}role/theirs-lambda", _of("lambda:UpdateFunctionCode")
    )
    on_machine = ("ec2-instance-connect:SendSSHPublicKey", "ec2:ModifyInstanceAttribute", "ssm:SendCommand", "ssm:StartSession")
    # Where the machine is ours, whoever gets in there is the worker.
    owners = {"theirs": ("role/theirs-ec2", {"Name": "db"}), "ours": ("role/cohort-host/cohort-host", {"project": names.PROJECT})}
    for owner, (role, tags) in owners.items():
        keys = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
        yield Thing(f"a machine of {owner}", f"arn:aws:ec2:{here}:instance/i-{owner}", f"{IAM}{role}", _of(*on_machine), keys)
    yield Thing(
        "their secret", f"arn:aws:secretsmanager:{here}:secret:theirs/key-AbCdEf", operator, _of("secretsmanager:GetSecretValue")
    )
    yield Thing("their parameter", f"arn:aws:ssm:{here}:parameter/theirs/key", operator, _of("ssm:GetParameter"))
    # A grant for a service's own use hands nothing to whoever asks for it; one for themselves does.
    theirs = {"kms:ResourceAliases": ["alias/theirs"], "kms:GrantIsForAWSResource": "false"}
    using = _of("kms:CreateGrant", "kms:Decrypt", "kms:PutKeyPolicy")
    yield Thing("their key", f"arn:aws:kms:{here}:key/11111111-2222-3333-4444-555555555555", operator, using, theirs)
    in_account = {"aws:ResourceAccount": ACCOUNT, "s3:ResourceAccount": ACCOUNT}
    for qualifier, region in (("theirs", HOME), (names.CDK_QUALIFIER, "eu-west-1"), (names.CDK_QUALIFIER, HOME)):
        role, bucket = (f"cdk-{qualifier}-{kind}-{ACCOUNT}-{region}" for kind in ("cfn-exec-role", "assets"))
        yield Thing(f"templates in {bucket}", f"arn:aws:s3:::{bucket}/a.json", f"{IAM}role/{role}", _of("s3:PutObject"), in_account)
        yield Thing(f"the policy of {bucket}", f"arn:aws:s3:::{bucket}", f"{IAM}role/{role}", _of("s3:PutBucketPolicy"), in_account)


def _of(*actions: str) -> tuple[tuple[str, ...], ...]:
    """Each alone is a way."""
    return tuple((action,) for action in actions)


def foreign_stack(qualifier: str = "theirs") -> Thing:
    """Return a stack of another bootstrap, which CloudFormation changes as the role that made it, whoever asks.

    Source: CloudFormation user guide, "CloudFormation service role".
    """
    role = f"{IAM}role/cdk-{qualifier}-cfn-exec-role-{ACCOUNT}-{HOME}"
    ways = (("cloudformation:UpdateStack",), ("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"))
    return Thing("their stack", f"arn:aws:cloudformation:{HOME}:{ACCOUNT}:stack/Payroll/1", role, ways)


def _trust(principal: Mapping[str, str]) -> Any:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]}


def _of_cdk(qualifier: str, region: str, execution: list[str]) -> Iterator[Principal]:
    """The roles that `cdk bootstrap` makes."""
    template = yaml.safe_load(TEMPLATE.read_text())
    reading = _Bootstrap(qualifier, region, execution)
    inline: dict[str, dict[str, Any]] = {}
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::Policy":
            held = reading.value(resource["Properties"])
            for role in held["Roles"]:
                inline.setdefault(role, {})[held["PolicyName"]] = held["PolicyDocument"]
    for logical, one in template["Resources"].items():
        if one["Type"] == "AWS::IAM::Role":
            held = reading.value(one["Properties"])
            own = {policy["PolicyName"]: policy["PolicyDocument"] for policy in held.get("Policies", ())}
            trust = {"Version": "2012-10-17", **held["AssumeRolePolicyDocument"]}
            arn = f"{IAM}role/{held['RoleName']}"
            yield Principal(arn, {**own, **inline.get(logical, {})}, tuple(held.get("ManagedPolicyArns", ())), trust=trust)


class _Bootstrap:
    """The values in CDK's bootstrap template, as it is deployed with its defaults."""

    def __init__(self, qualifier: str, region: str, execution: list[str]) -> None:
        role, bucket = (f"cdk-{qualifier}-{kind}-{ACCOUNT}-{region}" for kind in ("cfn-exec-role", "assets"))
        self._known: dict[str, Any] = {
            "AWS::AccountId": ACCOUNT,
            "AWS::NoValue": None,
            "AWS::Partition": "aws",
            "AWS::Region": region,
            "CdkBootstrapVersion": f"/cdk-bootstrap/{qualifier}/version",
            "CloudFormationExecutionPolicies": execution,
            "CloudFormationExecutionRole.Arn": f"{IAM}role/{role}",
            "ContainerAssetsRepository.Arn": f"arn:aws:ecr:{region}:{ACCOUNT}:repository/assets",
            "FileAssetsBucketKmsKeyId": "AWS_MANAGED_KEY",
            "Qualifier": qualifier,
            "StagingBucket.Arn": f"arn:aws:s3:::{bucket}",
        }

    def value(self, value: Any) -> Any:
        """Resolve what stands in the template."""
        if isinstance(value, list):
            return [item for item in map(self.value, value) if item is not None]
        if not isinstance(value, dict):
            return value
        if "Ref" in value:
            return self._known.get(value["Ref"], value["Ref"])
        if "Fn::Sub" in value:
            text = value["Fn::Sub"]
            for name, known in self._known.items():
                text = text.replace(f"${{{name}}}", str(known))
            return text
        if "Fn::If" in value:
            condition, holds, otherwise = value["Fn::If"]
            return self.value(holds if condition in HOLDS else otherwise)
        found = {key: self.value(one) for key, one in value.items()}
        return {key: one for key, one in found.items() if one is not None}
