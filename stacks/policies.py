"""IAM documents as plain data: the groups' policies, their trust, and the boundary that none can pass.

The layout of a bucket is `<group>/{inputs,configs,submissions,results}/`; the analysis back ends rely on it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stacks import names
from stacks.manifest import AnalysisGrant, GroupManifest

Statement = dict[str, Any]
Document = dict[str, Any]

# IAM counts a managed policy without white space: at most 6,144 characters (IAM user guide, "IAM and STS quotas").
POLICY_CHARACTERS = 6144
# Managed policies that one role or group may carry by default (the same page).
POLICIES_PER_PRINCIPAL = 10

# Versions too: what a configuration held before is looked at, and brought back.
LIST = ("s3:ListBucket", "s3:ListBucketVersions")
# Tags: whoever copies an object reads and sets them. The AWS CLI asks for them where it copies in parts, which is from 8 MiB on.
READ = ("s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectVersion")
WRITE = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectTagging")
# Bringing a deleted object back is deleting its delete marker, which is a version (S3 user guide, "Removing delete markers").
# It could end what lies below just as well: the role alone has it, and only in sessions that never leave the control plane.
UNDO = ("s3:DeleteObjectVersion",)
KEYS_OF_S3 = ("kms:Decrypt", "kms:GenerateDataKey")
BY_WAY_OF_S3 = {"kms:ViaService": "s3.*"}
# The inline policies of one role, together, without white space (IAM user guide, "IAM and STS quotas").
INLINE_CHARACTERS = 10_240


class PolicyTooLarge(ValueError):
    """A policy that does not fit IAM's limits."""


def group_policies(manifest: GroupManifest) -> list[Document]:
    """Return the group's access as few managed policy documents, each within IAM's size limit. Raises PolicyTooLarge."""
    documents: list[Document] = []
    waiting = sorted(manifest.analyses, key=lambda grant: grant.bucket)
    while waiting:
        taken = _how_many_fit(manifest, waiting)
        documents.append(_access_document(manifest, waiting[:taken]))
        waiting = waiting[taken:]
    if len(documents) > POLICIES_PER_PRINCIPAL:
        raise PolicyTooLarge(
            f"The group {manifest.slug!r} has {len(manifest.analyses)} analyses, which need {len(documents)} managed policies; "
            f"IAM attaches {POLICIES_PER_PRINCIPAL}. Revoke some, or split the group."
        )
    return documents


def boundary(patterns: Sequence[str], region: str) -> Document:
    """Return the permissions boundary: S3 on buckets of these names and nothing else, never on the site's own or CDK's.

    By patterns, so that no deployment ever has to change it. Raises PolicyTooLarge, or names.NameRefused for a bad pattern.
    """
    buckets = [_bucket_arn(pattern, region) for pattern in sorted(names.check_bucket_patterns(patterns))]
    # A bucket's own policy can give a user what no boundary names (IAM user guide, "Permissions boundaries"), save what it denies.
    never = [_bucket_arn(f"{prefix}*", region) for prefix in (*names.OWN_BUCKET_PREFIXES, "cdk-")]
    document = _document(
        [
            _allow("Buckets", ("s3:GetBucketLocation", *LIST), buckets),
            _allow("Objects", sorted((*READ, *WRITE, *UNDO)), [f"{bucket}/*" for bucket in buckets]),
            # For objects written with AWS's own key for S3: its policy gives these to everybody in the account by way of S3, and no
            # document says whether a boundary cuts that.
            _allow("Keys", KEYS_OF_S3, ["*"]) | {"Condition": {"StringLike": BY_WAY_OF_S3}},
            {"Sid": "NeverOurOwn", "Effect": "Deny", "Action": "s3:*", "Resource": never},
            _never_archive(),
            {"Sid": "NothingElse", "Effect": "Deny", "NotAction": ["s3:*", *KEYS_OF_S3], "Resource": "*"},
            {
                "Sid": "NoOtherKeys",
                "Effect": "Deny",
                "Action": "kms:*",
                "Resource": "*",
                "Condition": {"StringNotLike": BY_WAY_OF_S3},
            },
        ]
    )
    if size(document) > POLICY_CHARACTERS:
        raise PolicyTooLarge(
            f"With {len(buckets)} patterns the permissions boundary would have {size(document)} characters; IAM allows "
            f"{POLICY_CHARACTERS}. Use fewer or shorter patterns of bucket names."
        )
    return document


def undo_policy(manifest: GroupManifest) -> Document | None:
    """Return what the role needs besides to bring deleted objects back, or None where nothing can be deleted."""
    writable = sorted(grant.bucket for grant in manifest.analyses if grant.access == "read-write")
    if not writable:
        return None
    return _document([_allow("Undo", UNDO, [f"{_bucket_arn(bucket, manifest.region)}/{manifest.slug}/*" for bucket in writable])])


def role_trust(manifest: GroupManifest) -> Document:
    """Return the trust policy of the group's role: whoever the account's own policies allow, which is the control plane."""
    account = f"arn:{names.partition(manifest.region)}:iam::{manifest.account}:root"
    return _document([{"Sid": "ControlPlane", "Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}])


def size(document: Mapping[str, Any]) -> int:
    """Return the characters that IAM counts: the document without white space."""
    return len(json.dumps(document, separators=(",", ":")))


def _never_archive() -> Statement:
    """Deny the tag by which S3 moves a retired group's objects where they cannot be read for hours.

    Here, and not in each group's documents: whoever may tag at all has a boundary that says so too, and denies this.
    """
    tags = {"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": [names.ARCHIVE_TAG]}}
    actions = ["s3:PutObject", "s3:PutObjectTagging"]
    return {"Sid": "NeverArchive", "Effect": "Deny", "Action": actions, "Resource": "*", "Condition": tags}


def _how_many_fit(manifest: GroupManifest, grants: Sequence[AnalysisGrant]) -> int:
    taken = 1
    while taken < len(grants) and size(_access_document(manifest, grants[: taken + 1])) <= POLICY_CHARACTERS:
        taken += 1
    return taken


def _access_document(manifest: GroupManifest, grants: Sequence[AnalysisGrant]) -> Document:
    buckets = {grant.bucket: _bucket_arn(grant.bucket, manifest.region) for grant in grants}
    writable = [buckets[grant.bucket] for grant in grants if grant.access == "read-write"]
    prefix = f"{manifest.slug}/"
    statements = [
        _allow("Locate", ("s3:GetBucketLocation",), buckets.values()),
        _allow("List", LIST, buckets.values()) | {"Condition": {"StringLike": {"s3:prefix": [f"{prefix}*"]}}},
        _allow("Read", READ, [f"{arn}/{prefix}*" for arn in buckets.values()]),
    ]
    if writable:
        folders = [f"{arn}/{prefix}{folder}/*" for arn in writable for folder in names.WRITABLE_FOLDERS]
        statements.append(_allow("Write", WRITE, folders))
        statements.append(_allow("CleanResults", ("s3:DeleteObject",), [f"{arn}/{prefix}results/*" for arn in writable]))
    return _document(statements)


def _document(statements: list[Statement]) -> Document:
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(sid: str, actions: Iterable[str], resources: Iterable[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _bucket_arn(bucket: str, region: str) -> str:
    return f"arn:{names.partition(region)}:s3:::{bucket}"
