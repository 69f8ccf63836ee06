"""What a group has, counted before it is retired: from the database at once, and from AWS by a worker."""

import logging
from collections import Counter
from datetime import timedelta
from typing import Any

from django.utils import timezone

from control_plane.access.groups.models import Access, Analysis, Group, JoinRequest
from control_plane.access.retirement import s3
from control_plane.access.retirement.models import AnalysisRetirement, BucketChoice, Survey
from control_plane.base.aws import AwsFailure, Place
from control_plane.deployments import cloudformation

logger = logging.getLogger("cohort.retirement")

# Objects that are counted in one bucket; beyond that it says 'more than'.
MAX_COUNTED = 20_000
SURVEYS_KEPT = timedelta(days=30)


def what_ends(group: Group) -> dict[str, int]:
    """How many members, keys, analyses, join codes and open requests end with the group. In a few queries."""
    members = group.memberships.wanted()
    holders = members.filter(access=Access.KEYS)
    return {
        "members": members.count(),
        "keys": holders.count() + holders.exclude(previous_key="").count(),
        "analyses": group.grants.wanted().count(),
        "join_codes": group.join_codes.usable(timezone.now()).count(),
        "requests": group.join_requests.filter(state__in=JoinRequest.OPEN).count(),
    }


def buckets_of(group: Group) -> list[str]:
    """The buckets in which the group may have left anything: those of every analysis that it ever had and that were made.

    Not the deleted ones: whoever else in the world wants it can have a deleted bucket's name.
    """
    return list(_places_of_buckets(group))


def work_out(survey_id: int) -> None:
    """Count, and record it. For a worker."""
    survey = Survey.objects.select_related("group__stack").get(pk=survey_id)
    stack, group = survey.group.stack, survey.group
    try:
        found = cloudformation.resources(stack.name, stack.place)
        survey.resources = dict(sorted(Counter(one.type for one in found if one.type != cloudformation.NESTED).items()))
        survey.buckets = [_count(bucket, group, place) for bucket, place in _places_of_buckets(group).items()]
    except (AwsFailure, s3.S3Failure) as error:
        logger.warning("%s: what it has could not be counted: %s", group, error)
        survey.state, survey.error = Survey.State.FAILED, str(error)
    else:
        survey.state = Survey.State.DONE
    survey.save(update_fields=["resources", "buckets", "state", "error"])


def forget_surveys() -> None:
    """Remove those that nobody looks at any more."""
    Survey.objects.filter(asked_at__lt=timezone.now() - SURVEYS_KEPT).delete()


def _places_of_buckets(group: Group) -> dict[str, Place]:
    gone = AnalysisRetirement.objects.filter(bucket=BucketChoice.DELETE, state=AnalysisRetirement.State.DONE)
    analyses = Analysis.objects.filter(grants__group=group, unmade_reason="").exclude(retirements__in=gone)
    found = analyses.order_by("bucket").distinct().values_list("bucket", "stack__account", "stack__region")
    return {bucket: Place(account, region) for bucket, account, region in found}


def _count(bucket: str, group: Group, place: Place) -> dict[str, Any]:
    objects = size = 0
    more = False
    for page in s3.pages(bucket, f"{group.slug}/", place):
        objects += len(page)
        size += sum(one.size for one in page)
        if more := objects > MAX_COUNTED:
            break
    return {"bucket": bucket, "objects": objects, "bytes": size, "more": more}
