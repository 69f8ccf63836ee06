"""Retirements and surveys as data and in words, for pages and commands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control_plane.access.groups.models import Group
from control_plane.access.retirement.inventory import count_what_ends
from control_plane.access.retirement.models import AnalysisRetirement, DataChoice, DataPlace, Retirement, Survey
from control_plane.base.sizes import format_size
from control_plane.deployments.models import Deployment
from control_plane.deployments.serializers import deployment_as_dict

_ENDS = {
    "members": ("member’s access", "members’ access"),
    "keys": ("access key", "access keys"),
    "analyses": ("use of an analysis", "uses of analyses"),
    "join_codes": ("join code", "join codes"),
    "requests": ("open request", "open requests"),
}


@dataclass(frozen=True)
class Preview:
    """Preview of a group's retirement, in words: what ends, and what is on AWS."""

    ends: list[str]
    resources: list[str]
    buckets: list[str]


def preview(group: Group, survey: Survey) -> Preview:
    """Describe what the group's retirement ends, as far as the survey knows. A few queries."""
    ends = [f"{count:,} {_ENDS[name][0 if count == 1 else 1]}" for name, count in count_what_ends(group).items()]
    resources = [f"{count:,} × {_type(name)}" for name, count in survey.resources.items()]
    return Preview(ends, resources, [_bucket(bucket) for bucket in survey.buckets])


def place_in_words(retirement: Retirement, place: DataPlace) -> str:
    """Describe the progress of the data in one bucket."""
    verb = "versions deleted" if retirement.data == DataChoice.DELETE else "objects tagged for the archive"
    words = f"{place.bucket}: {place.objects_done:,} {verb} ({format_size(place.bytes_done)})"
    if place.left_out:
        words += f"; {place.left_out:,} left out, since they have all the tags that S3 allows or were gone"
    if place.is_done:
        return f"{words}: done"
    if place.expected is not None and retirement.data == DataChoice.ARCHIVE:
        words += f" of {'more than ' if place.is_more else ''}{place.expected:,}"
    return words


def course_as_dict(retirement: Retirement | AnalysisRetirement) -> dict[str, Any]:
    """Return when a retirement took each of its steps, and who asked for it or undid it, as JSON."""
    return {
        "asked_by": retirement.asked_by,
        "asked_at": iso(retirement.asked_at),
        "due_at": iso(retirement.due_at),
        "began_at": iso(retirement.began_at),
        "undone_at": iso(retirement.undone_at),
        "undone_by": retirement.undone_by,
        "finished_at": iso(retirement.finished_at),
    }


def retirement_as_dict(retirement: Retirement) -> dict[str, Any]:
    """Return a retirement as JSON, for commands."""
    return {
        "id": retirement.pk,
        "group": retirement.group.slug,
        "state": retirement.state,
        "data": retirement.data,
        **course_as_dict(retirement),
        "counts": retirement.counts,
        "error": retirement.error,
        "deployment": deployment_as_dict(retirement.deployment) if retirement.deployment else None,
        "places": [
            {
                "bucket": place.bucket,
                "objects": place.objects_done,
                "bytes": place.bytes_done,
                "left_out": place.left_out,
                "expected": place.expected,
                "more": place.is_more,
                "done": place.is_done,
            }
            for place in retirement.places.all()
        ],
    }


def survey_as_dict(group: Group, survey: Survey) -> dict[str, Any]:
    """Return a survey as JSON, for commands."""
    return {
        "group": group.slug,
        "state": survey.state,
        "ends": count_what_ends(group),
        "resources": survey.resources,
        "buckets": survey.buckets,
        "error": survey.error,
    }


def retirement_status(retirement: Retirement) -> str:
    """Describe the status of a group's retirement, in a sentence or two."""
    group, state = retirement.group, Retirement.State(retirement.state)
    match state:
        case Retirement.State.WAITING:
            return f"{group.name} is suspended. It is retired on {retirement.due_at:%Y-%m-%d %H:%M} UTC, unless that is undone."
        case Retirement.State.REMOVING:
            return f"AWS is removing the access of {group.name}.{deployment_trouble(retirement.deployment)}"
        case Retirement.State.DATA:
            verb = "deleted" if retirement.data == DataChoice.DELETE else "tagged for the archive"
            trouble = f" The last try failed, and another follows by itself: {retirement.error}" if retirement.error else ""
            return f"The access of {group.name} is removed; its data is being {verb}.{trouble}"
        case Retirement.State.UNDONE:
            return f"The retirement of {group.name} was undone by {retirement.undone_by}."
        case Retirement.State.DONE:
            return f"{group.name} is retired since {retirement.finished_at:%Y-%m-%d %H:%M} UTC."


def deployment_trouble(deployment: Deployment | None) -> str:
    """Describe why the removal's deployment failed, as a further sentence; empty if it did not."""
    if deployment is None or deployment.state not in (Deployment.State.FAILED, Deployment.State.CANCELLED):
        return ""
    return f" Deployment {deployment.pk} {deployment.get_state_display()}: {deployment.error} {deployment.advice}"


def _bucket(bucket: dict[str, Any]) -> str:
    more = "more than " if bucket["more"] else ""
    noun = "object" if bucket["objects"] == 1 else "objects"
    return f"{bucket['bucket']}: {more}{bucket['objects']:,} {noun}, {more}{format_size(bucket['bytes'])}"


def _type(name: str) -> str:
    return name.removeprefix("AWS::").replace("::", " ")


def iso(moment: datetime | None) -> str | None:
    """Format a moment for JSON."""
    return moment.isoformat() if moment else None
