"""What an old IAM group lets its people reach on S3, compared with what Cohort will give them, by bucket and folder."""

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
class Reach:
    """The analyses' buckets that the old group may use (True: to write too), and what Cohort will not give, in words."""

    buckets: dict[str, bool] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)


def reach_of(aws: Aws, group: str, slug: str) -> Reach:
    """Read the group's policies. Folders are compared; within its own, a group has from then on what Cohort gives every group."""
    analyses = set(Analysis.objects.values_list("bucket", flat=True))
    reach = Reach()
    losses: list[str] = []
    for name in aws.iam.list_group_policies(GroupName=group)["PolicyNames"]:
        document = aws.iam.get_group_policy(GroupName=group, PolicyName=name)["PolicyDocument"]
        for statement in _listed(document.get("Statement")):
            if statement.get("Effect") == "Allow":
                losses += _judge(statement, slug, analyses, reach)
    for attached in aws.iam.list_attached_group_policies(GroupName=group)["AttachedPolicies"]:
        losses.append(f"whatever {attached['PolicyName']} allows")
    distinct = sorted(set(losses))
    reach.losses = distinct[:_EXAMPLES] + ([f"{len(distinct) - _EXAMPLES} more"] if len(distinct) > _EXAMPLES else [])
    return reach


def _judge(statement: dict[str, Any], slug: str, analyses: set[str], reach: Reach) -> list[str]:
    """Note the buckets that the statement allows; return what of it will be lost."""
    actions, losses = _listed(statement.get("Action")), []
    if foreign := [action for action in actions if not action.lower().startswith("s3:")]:
        losses.append(f"actions beside S3's ({', '.join(foreign[:_EXAMPLES])})")
    if len(foreign) == len(actions):
        return losses
    for resource in _listed(statement.get("Resource")):
        objects, bucket = _OBJECTS.fullmatch(resource), _BUCKET.fullmatch(resource)
        if objects and objects[1] in analyses and objects[2].startswith(f"{slug}/"):
            writes = any(_WRITES.fullmatch(action) for action in actions)
            reach.buckets[objects[1]] = reach.buckets.get(objects[1], False) or writes
        elif bucket and bucket[1] in analyses:
            reach.buckets.setdefault(bucket[1], False)
            if any(_LISTS.fullmatch(action) for action in actions) and not _is_bound(statement, slug):
                losses.append(f"the list of all of {bucket[1]}")
        else:
            losses.append(resource)
    return losses


def _is_bound(statement: dict[str, Any], slug: str) -> bool:
    """Whether the statement lists the group's folder alone, as Cohort's own do."""
    tests = [test for name, test in statement.get("Condition", {}).items() if name in ("StringLike", "StringEquals")]
    prefixes = [prefix for test in tests for key, value in test.items() if key.lower() == "s3:prefix" for prefix in _listed(value)]
    return bool(prefixes) and all(str(prefix).startswith(f"{slug}/") for prefix in prefixes)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
