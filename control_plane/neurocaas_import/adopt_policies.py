"""Access to S3 by an old IAM group's policies, compared with the access that Cohort gives, by bucket and folder."""

import re
from dataclasses import dataclass, field
from typing import Any

from control_plane.access.groups.models import Analysis
from control_plane.neurocaas_import.adopt_aws import Aws

_OBJECTS = re.compile(r"arn:aws[a-z-]*:s3:::([^/]+)/(.*)")
_BUCKET = re.compile(r"arn:aws[a-z-]*:s3:::([^/]+)")
_WRITES = re.compile(r"s3:(\*|Put.*)", re.IGNORECASE)
_LISTS = re.compile(r"s3:(\*|List(\*|Bucket))", re.IGNORECASE)
_EXAMPLES = 5


@dataclass
class S3Access:
    """Buckets of analyses that the old group may use (True: also to write), and access that Cohort does not give, in words."""

    buckets: dict[str, bool] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)


def read_s3_access(aws: Aws, group: str, slug: str) -> S3Access:
    """Read the group's policies. Only folders are compared: within its own, the group gets the access of every group of Cohort."""
    analyses = set(Analysis.objects.values_list("bucket", flat=True))
    s3_access = S3Access()
    losses: list[str] = []
    for name in aws.iam.list_group_policies(GroupName=group)["PolicyNames"]:
        document = aws.iam.get_group_policy(GroupName=group, PolicyName=name)["PolicyDocument"]
        for statement in _listed(document.get("Statement")):
            if statement.get("Effect") == "Allow":
                losses += _judge(statement, slug, analyses, s3_access)
    for attached in aws.iam.list_attached_group_policies(GroupName=group)["AttachedPolicies"]:
        losses.append(f"whatever {attached['PolicyName']} allows")
    distinct = sorted(set(losses))
    s3_access.losses = distinct[:_EXAMPLES] + ([f"{len(distinct) - _EXAMPLES} more"] if len(distinct) > _EXAMPLES else [])
    return s3_access


def _judge(statement: dict[str, Any], slug: str, analyses: set[str], s3_access: S3Access) -> list[str]:
    """Add the buckets that the statement allows to `s3_access`; return the access that will be lost."""
    actions, losses = _listed(statement.get("Action")), []
    if foreign := [action for action in actions if not action.lower().startswith("s3:")]:
        losses.append(f"actions beside S3's ({', '.join(foreign[:_EXAMPLES])})")
    if len(foreign) == len(actions):
        return losses
    for resource in _listed(statement.get("Resource")):
        objects, bucket = _OBJECTS.fullmatch(resource), _BUCKET.fullmatch(resource)
        if objects and objects[1] in analyses and objects[2].startswith(f"{slug}/"):
            writes = any(_WRITES.fullmatch(action) for action in actions)
            s3_access.buckets[objects[1]] = s3_access.buckets.get(objects[1], False) or writes
        elif bucket and bucket[1] in analyses:
            s3_access.buckets.setdefault(bucket[1], False)
            if any(_LISTS.fullmatch(action) for action in actions) and not _is_bound(statement, slug):
                losses.append(f"the list of all of {bucket[1]}")
        else:
            losses.append(resource)
    return losses


def _is_bound(statement: dict[str, Any], slug: str) -> bool:
    """Check whether the statement allows listing the group's folder alone, as Cohort's own do."""
    tests = [test for name, test in statement.get("Condition", {}).items() if name in ("StringLike", "StringEquals")]
    prefixes = [prefix for test in tests for key, value in test.items() if key.lower() == "s3:prefix" for prefix in _listed(value)]
    return bool(prefixes) and all(str(prefix).startswith(f"{slug}/") for prefix in prefixes)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
