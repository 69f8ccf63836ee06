"""Names of AWS resources, derived in this one place: bounded in length, and never the same for two slugs.

Every pattern is a fixed prefix, the slug, and (where there is one) a last part that cannot hold a hyphen, so a name can
be taken apart again in one way only. Limits: IAM names and S3 bucket names as in the IAM and S3 user guides.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

PROJECT = "cohort"
PLATFORM_STACK = "Cohort-Storage"
BOOTSTRAP_STACK = "Cohort-Bootstrap"
# Before the bucket's name: what an analysis is called in the storage stack's tree. It never changes, or buckets would be replaced.
ANALYSIS_CONSTRUCT = "Analysis-"
# Managed policies of Cohort-Bootstrap: what bounds the groups' principals, the host's roles, and CloudFormation itself.
BOUNDARY_NAME = "cohort-boundary"
HOST_BOUNDARY_NAME = "cohort-host-boundary"
EXECUTION_NAMES = ("cohort-execution", "cohort-execution-data", "cohort-execution-network")
# The role of Cohort-Bootstrap that deploys groups and analyses. It begins as CDK's roles do, which no template may change (see
# `stacks.site.execution`), and as no group's role can.
DEPLOY_ROLE = "cdk-cohort-deploy-role"
# A part of every name that `cdk bootstrap` makes (CDK guide, "Customize CDK bootstrapping"). Another one is another bootstrap.
CDK_QUALIFIER = "hnb659fds"


class NameRule(NamedTuple):
    """Rule of a name: a pattern for the whole of it, and its length in characters."""

    pattern: re.Pattern[str]
    shortest: int
    longest: int


SLUG = NameRule(re.compile(r"[a-z0-9]+(-[a-z0-9]+)*"), 2, 32)
BUCKET = NameRule(re.compile(r"[a-z0-9]+(-+[a-z0-9]+)*"), 3, 63)
BUCKET_BEGINNING = NameRule(re.compile(r"[a-z0-9][a-z0-9-]*"), 3, 63)
USERNAME = NameRule(re.compile(r"m[a-z2-7]{11}"), 12, 12)

# Of a group's folder in a bucket, where members write; the back ends alone write results.
WRITABLE_FOLDERS = ("inputs", "configs", "submissions")

# Slugs whose role, IAM group or policy would have the name of one that the site's own stacks hold: IAM's names are unique in an
# account whatever their path (IAM user guide, "IAM and STS quotas"). A group that has one from before is left as it is.
SITE_SLUGS = frozenset(["backup", "host", "web"])
# Words that would read as a part of the site or of AWS in a path, a prefix or a console.
RESERVED_WORDS = frozenset(
    [
        "account",
        "accounts",
        "admin",
        "administrator",
        "amazon",
        "anonymous",
        "api",
        "aws",
        "boundary",
        "cdk",
        "cohort",
        "configs",
        "control-plane",
        "default",
        "docs",
        "everyone",
        "group",
        "groups",
        "inputs",
        "internal",
        "logs",
        "none",
        "null",
        "platform",
        "public",
        "results",
        "root",
        "shared",
        "static",
        "storage",
        "submissions",
        "system",
        "test-all",
        "undefined",
        "www",
    ]
)
RESERVED_SLUGS = RESERVED_WORDS | SITE_SLUGS
# On objects of a retired group that are to be archived: a lifecycle rule of the analysis buckets looks for it.
ARCHIVE_TAG, ARCHIVE_TAG_VALUE = "cohort-archive", "true"

# The site's own buckets, which no group may ever reach.
OWN_BUCKET_PREFIXES = ("cohort-state-", "cohort-backups-")
# Reserved by S3 (user guide, "General purpose bucket naming rules"), by CDK's own bootstrap, and by the site itself.
RESERVED_BUCKET_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-", "cdk-", "aws-", *OWN_BUCKET_PREFIXES)
FOREIGN_BUCKET_PREFIXES = tuple(prefix for prefix in RESERVED_BUCKET_PREFIXES if prefix not in OWN_BUCKET_PREFIXES)
RESERVED_BUCKET_SUFFIXES = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3")


class NameRefused(ValueError):
    """A slug, bucket or username that cannot be used. The message says which rule it breaks."""


def check_slug(slug: str) -> str:
    """Return `slug` if it can name a new group: 2 to 32 of a-z, 0-9 and single hyphens inside. Raises NameRefused."""
    if slug in SITE_SLUGS:
        raise NameRefused(
            f"The slug {slug!r} is reserved: the site's own role {role(slug)} has the name that the group's would get. "
            f"Choose another, for example '{slug}-lab'."
        )
    return check_known_slug(slug)


def check_known_slug(slug: str) -> str:
    """Return `slug` if it is that of a group, new or older than the reserved names of the site. Raises NameRefused."""
    _check_ascii("slug", slug)
    _check_length("slug", slug, SLUG)
    if not SLUG.pattern.fullmatch(slug):
        raise NameRefused(
            f"The slug {slug!r} may hold only small letters a-z, digits and single hyphens between them "
            "(for example 'example-lab')."
        )
    if slug in RESERVED_WORDS or slug.startswith("xn--"):
        raise NameRefused(f"The slug {slug!r} is reserved. Choose another, for example '{slug[:27]}-lab'.")
    return slug


def check_bucket(bucket: str) -> str:
    """Return `bucket` if S3 accepts it as a name and it is not reserved. Dots are refused: they break TLS. Raises NameRefused."""
    _check_ascii("bucket name", bucket)
    _check_length("bucket name", bucket, BUCKET)
    if not BUCKET.pattern.fullmatch(bucket):
        raise NameRefused(
            f"The bucket name {bucket!r} may hold only small letters a-z, digits and hyphens, "
            "and begins and ends with a letter or a digit."
        )
    if bucket.startswith(RESERVED_BUCKET_PREFIXES) or bucket.endswith(RESERVED_BUCKET_SUFFIXES):
        raise NameRefused(f"The bucket name {bucket!r} begins or ends with letters that S3, CDK or Cohort itself keeps.")
    return bucket


def check_bucket_patterns(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return patterns of bucket names, each a name or its beginning and `*`. Raises NameRefused."""
    if not patterns:
        raise NameRefused(
            "There is no pattern of bucket names, so that no group could reach any bucket. Give one, such as cohort-*."
        )
    for pattern in patterns:
        beginning = pattern.removesuffix("*")
        if not BUCKET_BEGINNING.pattern.fullmatch(beginning) or not BUCKET_BEGINNING.shortest <= len(beginning) <= BUCKET.longest:
            raise NameRefused(
                f"The pattern {pattern!r} of bucket names is not at least {BUCKET_BEGINNING.shortest} small letters a-z, digits "
                "and hyphens, with or without one * at the end (such as cohort-*)."
            )
        # A short beginning of a reserved one would let buckets in that are not ours, whatever follows it.
        if beginning.startswith(RESERVED_BUCKET_PREFIXES) or (
            pattern.endswith("*") and any(reserved.startswith(beginning) for reserved in FOREIGN_BUCKET_PREFIXES)
        ):
            raise NameRefused(f"The pattern {pattern!r} takes in buckets of S3, CDK or Cohort itself, which no group may reach.")
    return tuple(patterns)


def bucket_fits(bucket: str, patterns: Sequence[str]) -> bool:
    """Return whether one of the patterns matches the bucket, as IAM compares them."""
    return any(
        bucket.startswith(pattern[:-1]) if pattern.endswith("*") else bucket == pattern for pattern in patterns
    ) and not bucket.startswith(OWN_BUCKET_PREFIXES)


def check_username(username: str) -> str:
    """Return `username` if it has the opaque form `m` and 11 of a-z, 2-7. Raises NameRefused."""
    if not USERNAME.pattern.fullmatch(username):
        raise NameRefused(f"The username {username!r} is not 'm' followed by 11 of a-z and 2-7.")
    return username


def storage_stack(number: int) -> str:
    """Return the CloudFormation stack of the `number`-th set of analysis buckets (1, 2, ...); the first has no number."""
    return PLATFORM_STACK if number == 1 else f"{PLATFORM_STACK}-{number}"


def storage_number(stack_name: str) -> int:
    """Return the number of the storage stack of this name, as `storage_stack` makes it. Raises ValueError for another name."""
    number = int(stack_name.removeprefix(f"{PLATFORM_STACK}-")) if stack_name != PLATFORM_STACK else 1
    if storage_stack(number) != stack_name:
        raise ValueError(f"{stack_name!r} is no storage stack's name.")
    return number


def bucket_logical_id(bucket: str) -> str:
    """Return the logical id of an analysis's bucket in its stack's template, as CDK derives it from the construct's path.

    CDK never changes the rule (a test compares): letters and digits of the path, and the beginning of its MD5.
    """
    path = (f"{ANALYSIS_CONSTRUCT}{bucket}", "Bucket", "Resource")
    digest = hashlib.md5("/".join(path).encode(), usedforsecurity=False).hexdigest()[:8].upper()
    return re.sub(r"[^A-Za-z0-9]", "", "".join(path[:-1])) + digest


def group_stack(slug: str) -> str:
    """Return the name of the group's CloudFormation stack."""
    return f"Group-{slug}"


def iam_path(slug: str) -> str:
    """Return the IAM path of every principal of the group."""
    return f"/{PROJECT}/{slug}/"


def role(slug: str) -> str:
    """Return the name of the role that the control plane assumes for a federated member."""
    return f"{PROJECT}-{slug}"


def iam_group(slug: str) -> str:
    """Return the name of the IAM group of the members who hold keys."""
    return f"{PROJECT}-{slug}"


def policy(slug: str, index: int) -> str:
    """Return the name of the `index`-th managed policy of the group (1, 2, ...)."""
    return f"{PROJECT}-{slug}-{index}"


def user(slug: str, username: str) -> str:
    """Return the name of the IAM user of a member who holds a key: at most 52 of IAM's 64 characters."""
    return f"{PROJECT}-{slug}-{username}"


def secret(slug: str, username: str) -> str:
    """Return the name of the secret that holds the member's access key."""
    return f"{PROJECT}/{slug}/{username}"


def partition(region: str) -> str:
    """Return the ARN partition that a region belongs to."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def dns_suffix(region: str) -> str:
    """Return what the names of AWS's hosts end in, in the partition that a region belongs to."""
    return "amazonaws.com.cn" if partition(region) == "aws-cn" else "amazonaws.com"


def boundary_arn(account: str, region: str) -> str:
    """Return the ARN of the permissions boundary. It lies outside `/cohort/`, where group stacks make things."""
    return policy_arn(account, region, BOUNDARY_NAME)


def policy_arn(account: str, region: str, name: str) -> str:
    """Return the ARN of a managed policy outside every path, as those of Cohort-Bootstrap are."""
    return f"arn:{partition(region)}:iam::{account}:policy/{name}"


def own_buckets(account: str, region: str) -> tuple[str, str]:
    """Return the site's own buckets, which no group may ever reach: of published manifests, and of backups."""
    return f"cohort-state-{account}-{region}", f"cohort-backups-{account}-{region}"


def cdk_role_arn(account: str, region: str, kind: str) -> str:
    """Return the ARN of a role of the site's own CDK bootstrap, such as its `deploy-role`.

    Never a pattern: any other bootstrap of the account leaves roles whose names differ in the qualifier or the region alone, which
    everybody in the account may assume, and which deploy as an administrator unless told otherwise.
    """
    return f"arn:{partition(region)}:iam::{account}:role/cdk-{CDK_QUALIFIER}-{kind}-{account}-{region}"


def deploy_role_arn(account: str, region: str) -> str:
    """Return the ARN of the role that deploys groups and analyses."""
    return f"arn:{partition(region)}:iam::{account}:role/{DEPLOY_ROLE}"


def cdk_assets(account: str, region: str) -> str:
    """Return the bucket of the site's own CDK bootstrap: templates that are too large to be sent, and the application."""
    return f"cdk-{CDK_QUALIFIER}-assets-{account}-{region}"


def cdk_version_parameter() -> str:
    """Return the SSM parameter that holds the version of the CDK bootstrap."""
    return f"/cdk-bootstrap/{CDK_QUALIFIER}/version"


def role_arn(account: str, region: str, slug: str) -> str:
    """Return the ARN of the group's role."""
    return f"arn:{partition(region)}:iam::{account}:role{iam_path(slug)}{role(slug)}"


def _check_ascii(what: str, text: str) -> None:
    for character in text:
        if not character.isascii():
            raise NameRefused(
                f"The {what} {text!r} holds {character!r} (U+{ord(character):04X}), which only looks like an ordinary "
                "letter or is none. Use a-z, 0-9 and hyphens."
            )


def _check_length(what: str, text: str, rule: NameRule) -> None:
    if not rule.shortest <= len(text) <= rule.longest:
        raise NameRefused(f"The {what} {text!r} has {len(text)} characters; it needs {rule.shortest} to {rule.longest}.")
