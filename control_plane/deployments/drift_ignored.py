"""False drift: differences that CloudFormation reports where there are none, each with its public report and why it is harmless.

A difference is left out only where it has exactly this form and, where the real thing could have that form too, only if the service
itself answers that all is as deployed. An entry that AWS has mended does no harm.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from control_plane.base import aws
from control_plane.base.aws import Place

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import PropertyDifferenceTypeDef

ROADMAP = "https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues"
# CloudFormation's ways to write that a property is missing.
NOTHING = frozenset({"", "null", "-", "false"})


@dataclass(frozen=True)
class FalseDrift:
    """One kind of false drift. `is_harmless` is given the bucket's name, its place and the expected value."""

    resource_type: str
    path: re.Pattern[str]
    source: str
    reason: str
    is_harmless: Callable[[str, Place, Any], bool]


def _is_encrypted(bucket: str, place: Place, expected: Any) -> bool:
    answer = aws.client("s3", place).get_bucket_encryption(Bucket=bucket)
    held = {
        rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]
        for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]
        if "ApplyServerSideEncryptionByDefault" in rule
    }
    return held == _values("SSEAlgorithm", expected)


def _is_owned(bucket: str, place: Place, expected: Any) -> bool:
    answer = aws.client("s3", place).get_bucket_ownership_controls(Bucket=bucket)
    return {rule["ObjectOwnership"] for rule in answer["OwnershipControls"]["Rules"]} == _values("ObjectOwnership", expected)


def _is_zero(bucket: str, place: Place, expected: Any) -> bool:
    return str(expected) in ("0", "false")


FALSE_DRIFT = (
    FalseDrift(
        "AWS::S3::Bucket",
        re.compile(r"/BucketEncryption(/.*)?"),
        f"{ROADMAP}/2554",
        "The default encryption is reported as removed though S3 has it. S3 is asked, and must name the algorithm deployed.",
        _is_encrypted,
    ),
    FalseDrift(
        "AWS::S3::Bucket",
        re.compile(r"/OwnershipControls(/.*)?"),
        f"{ROADMAP}/1106",
        "Object ownership is reported as removed though S3 has it. S3 is asked, and must name the ownership that was deployed.",
        _is_owned,
    ),
    FalseDrift(
        "AWS::S3::Bucket",
        re.compile(r"/LifecycleConfiguration/Rules/\d+/(Transitions/\d+|Transition)/TransitionInDays"),
        f"{ROADMAP}/966",
        "A transition after 0 days is reported as one without days, which S3 takes for the same.",
        _is_zero,
    ),
)


def why_ignored(resource_type: str, physical_id: str, place: Place, difference: "PropertyDifferenceTypeDef") -> str:
    """Return why a property that is reported as removed is no drift; empty if it is."""
    if difference["ActualValue"] not in NOTHING:
        return ""
    for entry in FALSE_DRIFT:
        if entry.resource_type != resource_type or not entry.path.fullmatch(difference["PropertyPath"]):
            continue
        try:
            if entry.is_harmless(physical_id, place, _parsed(difference["ExpectedValue"])):
                return f"{entry.reason} ({entry.source})"
        except (ClientError, BotoCoreError):
            # What cannot be verified is reported.
            continue
    return ""


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _values(name: str, value: Any) -> set[str]:
    """Return every value of this name within a document; the value itself if the path led to it."""
    if isinstance(value, dict):
        own = {str(value[name])} if name in value else set()
        return own.union(*(_values(name, inner) for inner in value.values() if isinstance(inner, dict | list)))
    if isinstance(value, list):
        return set().union(*(_values(name, inner) for inner in value))
    return {str(value)}
