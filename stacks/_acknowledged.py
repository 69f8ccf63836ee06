"""Findings of cdk-nag that are right about what they see and wrong about what it means here, each with its reason."""

from aws_cdk import Acknowledgment, Validations
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


def acknowledge_prefixes(construct: IConstruct, document: Document) -> None:
    """AwsSolutions-IAM5, for every resource of the policy document that ends in a wildcard."""
    arns = {arn for statement in document["Statement"] for arn in statement["Resource"] if arn.endswith("/*")}
    _acknowledge(construct, {f"AwsSolutions-IAM5[Resource::{arn}]": PREFIX_REASON for arn in sorted(arns)})


def acknowledge_secret(construct: IConstruct) -> None:
    """AwsSolutions-SMG4: no rotation by Secrets Manager itself."""
    _acknowledge(construct, {"AwsSolutions-SMG4": ROTATION_REASON})


def acknowledge_access_logs(construct: IConstruct) -> None:
    """AwsSolutions-S1: no server access logs."""
    _acknowledge(construct, {"AwsSolutions-S1": ACCESS_LOG_REASON})


def _acknowledge(construct: IConstruct, findings: dict[str, str]) -> None:
    if findings:
        Validations.of(construct).acknowledge(*(Acknowledgment(id=name, reason=reason) for name, reason in findings.items()))
