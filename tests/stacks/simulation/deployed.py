"""Our templates as an account would hold them: every reference resolved, every resource with an id, its tags known by its ARN."""

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import aws_cdk as cdk

from local_aws.rights.changes import TAGS, AccountFacts, Properties, Scope
from local_aws.rights.ec2 import OWN, specified
from stacks import names

PLACEHOLDER = re.compile(r"\$\{([^!}]+)\}")
# What a value that AWS alone knows is replaced by.
UNKNOWN = "known-to-aws-alone"
SNAPSHOT = "snap-0123456789abcdef0"
# Each kind's name among its properties, which is its id too.
NAMED = {
    "AWS::AutoScaling::AutoScalingGroup": "AutoScalingGroupName",
    "AWS::Backup::BackupVault": "BackupVaultName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
}
# Each kind whose id is an ARN: the service, and the ARN's end, with {name} and {id} for what differs.
ARNS = {
    "AWS::CertificateManager::Certificate": ("acm", "certificate/{id}", ""),
    "AWS::CloudFormation::Stack": ("cloudformation", "stack/{stack}-{logical}-ABCDEFGHIJKL/{id}", ""),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": ("elasticloadbalancing", "loadbalancer/app/{name}/{id}", "Name"),
    "AWS::ElasticLoadBalancingV2::Listener": ("elasticloadbalancing", "listener/app/cohort/1/{id}", ""),
    "AWS::ElasticLoadBalancingV2::TargetGroup": ("elasticloadbalancing", "targetgroup/{name}/{id}", "Name"),
    "AWS::SNS::Subscription": ("sns", "cohort-alarms:{id}", ""),
    "AWS::SNS::Topic": ("sns", "{name}", "TopicName"),
    "AWS::SecretsManager::Secret": ("secretsmanager", "secret:{name}-AbCdEf", "Name"),
}
IAM_KINDS = {
    "AWS::IAM::Group": "group",
    "AWS::IAM::InstanceProfile": "instance-profile",
    "AWS::IAM::Role": "role",
    "AWS::IAM::User": "user",
}
EC2_SHORT = {"elastic-ip": "eipalloc", "internet-gateway": "igw", "launch-template": "lt", "security-group": "sg", "volume": "vol"}


@dataclass(frozen=True)
class Resource:
    """One resource of a deployed template."""

    kind: str
    logical_id: str
    physical_id: str
    properties: Properties
    stack: str
    place: Scope
    deletion_policy: str


@dataclass
class Account(AccountFacts):
    """What is there beyond the template that is being deployed."""

    region: str
    execution: str
    resources: list[Resource] = field(default_factory=list)
    exports: dict[str, Any] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a principal or an address that a template made."""
        for resource in self.resources:
            if IAM_KINDS.get(resource.kind) == kind and resource.physical_id == name:
                return resource.place.of_account("iam", f"{kind}{resource.properties.get('Path', '/')}{name}")
            if kind == "elastic-ip" and resource.kind == "AWS::EC2::EIP" and resource.physical_id == name:
                return resource.place.arn("ec2", f"elastic-ip/{_short(resource.stack, resource.logical_id, 'eipalloc')}")
        return ""

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of what templates made, and of the snapshot that AWS Backup took of our volume."""
        if arn.endswith(f"snapshot/{SNAPSHOT}"):
            return {"project": names.PROJECT, "aws:backup:source-resource": "volume/vol-1"}
        return self._tags_by_id.get(re.split("[:/]", arn)[-1], {})

    @cached_property
    def _tags_by_id(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for resource in self.resources:
            if held := _tags(resource):
                allocation = _short(resource.stack, resource.logical_id, "eipalloc")
                found[allocation if resource.kind == "AWS::EC2::EIP" else re.split("[:/]", resource.physical_id)[-1]] = held
        return found

    def launch_template(self, wanted: Properties) -> Properties:
        """The data of the launch template with that id."""
        found = (resource for resource in self.resources if resource.physical_id == wanted.get("LaunchTemplateId"))
        data: Properties = next(found).properties["LaunchTemplateData"]
        return data

    def role_of_profile(self, arn: str) -> str:
        """The role that the template put into the profile."""
        profile = next(
            resource
            for resource in self.resources
            if resource.kind == "AWS::IAM::InstanceProfile" and arn.endswith(resource.physical_id)
        )
        return self.arn("role", profile.properties["Roles"][0])

    @property
    def place(self) -> Scope:
        """Where its stacks are, with the role that CloudFormation acts as."""
        return Scope("111122223333", self.region, self.execution, self)


def deploy(region: str, *builds: Callable[[cdk.App], Any]) -> Account:
    """Synthesise what each of these adds to an app, and resolve it as CloudFormation would."""
    account = Account(region, names.cdk_role_arn("111122223333", region, "cfn-exec-role"))
    for build in builds:
        with tempfile.TemporaryDirectory() as folder:
            app = cdk.App(analytics_reporting=False, outdir=folder)
            build(app)
            artifacts = app.synth().stacks
            account.documents = dict(_nested_templates(Path(folder)))
            for artifact in artifacts:
                Stack(account, artifact.stack_name, artifact.template).deploy()
    return account


def _nested_templates(folder: Path) -> Iterator[tuple[str, Any]]:
    """Each nested stack's template, by the name that CDK puts it up under."""
    for path in folder.glob("*.assets.json"):
        for held in json.loads(path.read_text())["files"].values():
            source = folder / held["source"]["path"]
            if source.name.endswith(".nested.template.json"):
                for destination in held["destinations"].values():
                    yield destination["objectKey"], json.loads(source.read_text())


class Stack:
    """One template on its way into the account."""

    def __init__(self, account: Account, name: str, template: Mapping[str, Any], parameters: Mapping[str, Any] | None = None):
        self._account, self._name, self._template = account, name, template
        self._parameters = parameters or {}
        self._resolved: dict[str, dict[str, Any]] = {}
        self._outputs: dict[str, dict[str, Any]] = {}

    def deploy(self) -> dict[str, Any]:
        """Put every resource into the account, and return the outputs."""
        for logical, one in self._template.get("Resources", {}).items():
            found = Resource(
                one["Type"],
                logical,
                self._physical_id(logical),
                self._properties(logical),
                self._name,
                self._account.place,
                one.get("DeletionPolicy", "Delete"),
            )
            self._account.resources.append(found)
            if found.kind == "AWS::CloudFormation::Stack":
                self._outputs[logical] = self._nested(found)
        outputs = self._template.get("Outputs", {})
        values = {name: self._value(one["Value"]) for name, one in outputs.items()}
        self._account.exports |= {
            self._value(one["Export"]["Name"]): values[name] for name, one in outputs.items() if "Export" in one
        }
        return values

    def _nested(self, found: Resource) -> dict[str, Any]:
        template = self._account.documents[str(found.properties["TemplateURL"]).rpartition("/")[2]]
        return Stack(self._account, f"{self._name}-{found.logical_id}", template, found.properties.get("Parameters")).deploy()

    def _properties(self, logical: str) -> dict[str, Any]:
        if logical not in self._resolved:
            self._resolved[logical] = self._value(self._template["Resources"][logical].get("Properties", {}))
        return self._resolved[logical]

    def _physical_id(self, logical: str) -> str:
        kind = self._template["Resources"][logical]["Type"]
        place = self._account.place
        if kind in NAMED:
            return str(self._properties(logical)[NAMED[kind]])
        if kind == "AWS::IAM::ManagedPolicy":
            held = self._properties(logical)
            return place.of_account("iam", f"policy{held['Path']}{held['ManagedPolicyName']}")
        if kind in ARNS:
            service, end, name = ARNS[kind]
            known = {"stack": self._name, "logical": logical, "id": _uuid(self._name, logical)}
            return place.arn(service, end.format(name=self._properties(logical).get(name, "") if name else "", **known))
        if kind == "AWS::EC2::EIP":
            return "192.0.2.1"
        if kind in OWN and not OWN[kind][1]:
            return _short(self._name, logical, EC2_SHORT.get(OWN[kind][0], OWN[kind][0]))
        return _uuid(self._name, logical)

    def _attribute(self, logical: str, name: str) -> Any:
        kind, identifier = self._template["Resources"][logical]["Type"], self._physical_id(logical)
        place = self._account.place
        if name.startswith("Outputs."):
            return self._outputs[logical][name.removeprefix("Outputs.")]
        if kind in IAM_KINDS and name == "Arn":
            return place.of_account("iam", f"{IAM_KINDS[kind]}{self._properties(logical).get('Path', '/')}{identifier}")
        arns = {
            "AWS::Backup::BackupVault": place.arn("backup", f"backup-vault:{identifier}"),
            "AWS::KMS::Key": place.arn("kms", f"key/{identifier}"),
            "AWS::S3::Bucket": f"arn:{place.partition}:s3:::{identifier}",
        }
        if name.endswith("Arn"):
            return arns.get(kind, identifier)
        if name == "AllocationId":
            return _short(self._name, logical, "eipalloc")
        return {"GroupId": identifier, "LatestVersionNumber": "1"}.get(name, UNKNOWN)

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            values = [self._value(item) for item in value]
            return [item for item in values if item is not None]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and (function := FUNCTIONS.get(next(iter(value)))):
            return function(self, next(iter(value.values())))
        found = {key: self._value(one) for key, one in value.items()}
        return {key: one for key, one in found.items() if one is not None}

    def _ref(self, name: str) -> Any:
        place = self._account.place
        pseudo = {
            "AWS::AccountId": place.account,
            "AWS::NoValue": None,
            "AWS::Partition": place.partition,
            "AWS::Region": place.region,
            "AWS::StackId": place.arn("cloudformation", f"stack/{self._name}/1"),
            "AWS::StackName": self._name,
            "AWS::URLSuffix": "amazonaws.com.cn" if place.partition == "aws-cn" else "amazonaws.com",
        }
        if name in pseudo:
            return pseudo[name]
        if name in self._template.get("Parameters", {}):
            given = self._parameters.get(name)
            return given if given is not None else "ami-1" if name == "Image" else UNKNOWN
        return self._physical_id(name)

    def _get_att(self, named: Any) -> Any:
        logical, _, name = named.partition(".") if isinstance(named, str) else (named[0], "", named[1])
        return self._attribute(logical, name)

    def _join(self, named: Any) -> str:
        return str(named[0]).join(map(str, self._value(named[1])))

    def _sub(self, named: Any) -> str:
        text, given = (named, {}) if isinstance(named, str) else (named[0], self._value(named[1]))

        def filled(found: re.Match[str]) -> str:
            name = found[1]
            return str(given[name] if name in given else self._get_att(name) if "." in name else self._ref(name))

        return PLACEHOLDER.sub(filled, text)

    def _import(self, named: Any) -> Any:
        return self._account.exports[self._value(named)]

    def _select(self, named: Any) -> Any:
        return self._value(named[1])[int(named[0])]

    def _split(self, named: Any) -> list[str]:
        return str(self._value(named[1])).split(named[0])


FUNCTIONS: dict[str, Callable[[Stack, Any], Any]] = {
    "Ref": Stack._ref,
    "Fn::Base64": lambda stack, text: stack._value(text),
    "Fn::GetAtt": Stack._get_att,
    "Fn::ImportValue": Stack._import,
    "Fn::Join": Stack._join,
    "Fn::Select": Stack._select,
    "Fn::Split": Stack._split,
    "Fn::Sub": Stack._sub,
}


def resources_of(accounts: Sequence[Account]) -> list[Resource]:
    """Every resource of all of them."""
    return [resource for account in accounts for resource in account.resources]


def _tags(one: Resource) -> dict[str, str]:
    if one.kind == "AWS::EC2::LaunchTemplate":
        return specified(one.properties.get("TagSpecifications"), "launch-template")
    held = one.properties.get(TAGS.get(one.kind, "Tags"))
    return dict(held) if isinstance(held, dict) else {pair["Key"]: pair["Value"] for pair in held or []}


def _uuid(stack: str, logical: str) -> str:
    text = hashlib.sha256(f"{stack}/{logical}".encode()).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"


def _short(stack: str, logical: str, kind: str) -> str:
    return f"{kind}-{_uuid(stack, logical).replace('-', '')[:17]}"
