"""Acknowledged cdk-nag findings: correct in general but not applicable here, each with its reason."""

from collections.abc import Iterable

from aws_cdk import Acknowledgment, CfnResource, Validations
from constructs import IConstruct

from stacks.policies import Document

PREFIX_REASON = (
    "The wildcard stands for the objects below one prefix: the group's own folder, or an analysis bucket in the boundary."
)
ROTATION_REASON = "The key is rotated by its serial in the manifest, where CloudFormation replaces key and secret together."
ACCESS_LOG_REASON = (
    "Server access logs do not name the federated session. Who read what is recorded by CloudTrail's data events, "
    "which the owner of the account turns on."
)
OWN_ACCESS_LOG_REASON = (
    "The host's own role alone reads and writes this bucket, and CloudTrail's data events record it where the owner of the "
    "account turns them on. A bucket of access logs would need one of its own in turn."
)
SNAPSHOT_REASON = (
    "AWS Backup's role: a snapshot has no name before it is taken, the volume is told by its tag, and what describes or finds "
    "things cannot be narrowed to a resource. A part of AWS's own policy for this, and only AWS Backup can assume the role."
)
SETTINGS_REASON = (
    "Django's signing key, and passwords of other people's servers, which Secrets Manager could not change there. The key is "
    "replaced by hand when it may have leaked, as that ends every session."
)
ZONE_REASON = (
    "A volume can be attached in its own zone alone, so the host's zone is a setting that never changes by itself: the first "
    "zone that AWS happens to name could, and the volume would be replaced."
)
FLOW_LOG_REASON = (
    "One host, which the web's two ports alone lead to; nginx records every request there with its address, and the security "
    "group drops all else. Flow logs would cost more than the host and tell less."
)
OPEN_WEB_REASON = "A public web site: ports 80 and 443, and no other, are open to everybody."
BALANCER_LOG_REASON = (
    "nginx behind it records every request with the caller's address, in the log group with its retention; these would repeat it."
)

GROUP_OF_ONE_REASON = (
    "The one machine is replaced by every deployment, which would send two notices each time. That it is missing is told by the "
    "alarm cohort-site-down."
)
HOST_RIGHTS_REASON = (
    "The groups' stacks, roles and secrets, and the objects in the site's own buckets, are made while the site runs: their names "
    "are known by prefix or path alone. The boundary cohort-host-boundary, which no stack can change, bounds all of it."
)


def acknowledge_prefixes(construct: IConstruct, document: Document) -> None:
    """Acknowledge AwsSolutions-IAM5 for every resource of the policy document that ends in a wildcard."""
    arns = {arn for statement in document["Statement"] for arn in statement["Resource"] if arn.endswith("/*")}
    _acknowledge(construct, {f"AwsSolutions-IAM5[Resource::{arn}]": PREFIX_REASON for arn in sorted(arns)})


def acknowledge_secret(construct: IConstruct) -> None:
    """Acknowledge AwsSolutions-SMG4: no rotation by Secrets Manager itself."""
    _acknowledge(construct, {"AwsSolutions-SMG4": ROTATION_REASON})


def acknowledge_access_logs(construct: IConstruct) -> None:
    """Acknowledge AwsSolutions-S1: no server access logs."""
    _acknowledge(construct, {"AwsSolutions-S1": ACCESS_LOG_REASON})


def acknowledge_own_access_logs(construct: IConstruct) -> None:
    """Acknowledge AwsSolutions-S1: no server access logs of the buckets that the host alone uses."""
    _acknowledge(construct, {"AwsSolutions-S1": OWN_ACCESS_LOG_REASON})


def acknowledge_wildcards(construct: IConstruct, resources: Iterable[str]) -> None:
    """Acknowledge AwsSolutions-IAM5 for the role of AWS Backup."""
    _acknowledge(construct, {f"AwsSolutions-IAM5[Resource::{arn}]": SNAPSHOT_REASON for arn in resources})


def acknowledge_settings(construct: IConstruct) -> None:
    """Acknowledge AwsSolutions-SMG4: the host's settings are not rotated by Secrets Manager."""
    _acknowledge(construct, {"AwsSolutions-SMG4": SETTINGS_REASON})


def acknowledge_zone(resource: CfnResource) -> None:
    """Acknowledge W3010 of CloudFormation's own validation and of cfn-lint: a hard-coded availability zone."""
    _acknowledge(resource, {"CloudFormation-Validate::W3010": ZONE_REASON})
    resource.add_metadata("cfn-lint", {"config": {"ignore_checks": ["W3010"]}})


def acknowledge_flow_logs(construct: IConstruct) -> None:
    """Acknowledge AwsSolutions-VPC7: no flow logs."""
    _acknowledge(construct, {"AwsSolutions-VPC7": FLOW_LOG_REASON})


def acknowledge_open_web(construct: IConstruct) -> None:
    """Acknowledge AwsSolutions-EC23: the site's own ports are open to everybody."""
    _acknowledge(construct, {"AwsSolutions-EC23": OPEN_WEB_REASON})


def acknowledge_balancer_logs(construct: IConstruct) -> None:
    """Acknowledge AwsSolutions-ELB2: no access logs of the load balancer."""
    _acknowledge(construct, {"AwsSolutions-ELB2": BALANCER_LOG_REASON})


def acknowledge_group_of_one(construct: IConstruct) -> None:
    """Acknowledge AwsSolutions-AS3: no notification of each machine that starts or ends."""
    _acknowledge(construct, {"AwsSolutions-AS3": GROUP_OF_ONE_REASON})


def acknowledge_host_rights(construct: IConstruct, document: Document) -> None:
    """Acknowledge AwsSolutions-IAM5 for every wildcard in the host's own policies."""
    findings = {}
    for statement in document["Statement"]:
        for kind, words in (("Action", statement["Action"]), ("Resource", statement["Resource"])):
            for word in [words] if isinstance(words, str) else words:
                if "*" in word:
                    findings[f"AwsSolutions-IAM5[{kind}::{word}]"] = HOST_RIGHTS_REASON
    _acknowledge(construct, findings)


def _acknowledge(construct: IConstruct, findings: dict[str, str]) -> None:
    if findings:
        Validations.of(construct).acknowledge(*(Acknowledgment(id=name, reason=reason) for name, reason in findings.items()))
