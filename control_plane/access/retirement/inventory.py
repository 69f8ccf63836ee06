"""Inventory of a group before it is retired: counted in the database at once, and on AWS by a worker."""

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

# Objects that are counted in one bucket; people read 'more than' beyond that.
MAX_COUNTED = 20_000
SURVEYS_KEPT = timedelta(days=30)


def count_what_ends(group: Group) -> dict[str, int]:
    """Count the members, keys, analyses, join codes and open requests that end with the group. A few queries."""
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
    """Return the buckets that may hold the group's data: those of every analysis that was made and ever granted to it.

    Deleted buckets are left out: anybody in the world can have taken the name of one since.
    """
    return list(_places_of_buckets(group))


def run_survey(survey_id: int) -> None:
    """Count what the group has on AWS, and keep it on the survey. For a worker. A failure is kept on the survey too."""
    survey = Survey.objects.select_related("group__stack").get(pk=survey_id)
    stack, group = survey.group.stack, survey.group
    try:
        resources = cloudformation.resources(stack.name, stack.place)
        types = Counter(resource.type for resource in resources if resource.type != cloudformation.NESTED)
        survey.resources = dict(sorted(types.items()))
        survey.buckets = [_count(bucket, group, place) for bucket, place in _places_of_buckets(group).items()]
    except (AwsFailure, s3.S3Failure) as error:
        logger.warning("%s: what it has could not be counted: %s", group, error)
        survey.state, survey.error = Survey.State.FAILED, str(error)
    else:
        survey.state = Survey.State.DONE
    survey.save(update_fields=["resources", "buckets", "state", "error"])


def delete_old_surveys() -> None:
    """Delete the surveys that are older than SURVEYS_KEPT."""
    Survey.objects.filter(asked_at__lt=timezone.now() - SURVEYS_KEPT).delete()


def _places_of_buckets(group: Group) -> dict[str, Place]:
    gone = AnalysisRetirement.objects.filter(bucket=BucketChoice.DELETE, state=AnalysisRetirement.State.DONE)
    analyses = Analysis.objects.filter(grants__group=group, unmade_reason="").exclude(retirements__in=gone)
    rows = analyses.order_by("bucket").distinct().values_list("bucket", "stack__account", "stack__region")
    return {bucket: Place(account, region) for bucket, account, region in rows}


def _count(bucket: str, group: Group, place: Place) -> dict[str, Any]:
    objects = size = 0
    more = False
    for page in s3.pages(bucket, f"{group.slug}/", place):
        objects += len(page)
        size += sum(listed.size for listed in page)
        if more := objects > MAX_COUNTED:
            break
    return {"bucket": bucket, "objects": objects, "bytes": size, "more": more}
