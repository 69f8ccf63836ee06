"""Retirements of analyses as data and in words, for pages and commands."""

from typing import Any

from control_plane.access.retirement.models import AnalysisRetirement, BucketChoice
from control_plane.access.retirement.serializers import course_as_dict, deployment_trouble
from control_plane.base.sizes import format_size
from control_plane.deployments.serializers import deployment_as_dict

# Outcome of a bucket, for whoever wants its analysis back.
KEPT = (
    "{bucket} was kept as it is, but Cohort cannot take it in again. To work on with its data, make a new analysis with a bucket "
    "of its own, and have an administrator of the AWS account copy the objects: aws s3 sync s3://{bucket} s3://<new bucket>."
)
DELETED = "{bucket} was deleted with all that it held. Make a new analysis under another name."


def analysis_retirement_status(retirement: AnalysisRetirement) -> str:
    """Describe the status of an analysis's retirement, in a few sentences."""
    analysis, state = retirement.analysis, AnalysisRetirement.State(retirement.state)
    match state:
        case AnalysisRetirement.State.WAITING:
            return (
                f"Nobody can be granted {analysis.name} any more. It is retired on {retirement.due_at:%Y-%m-%d %H:%M} UTC, unless "
                "that is undone."
            )
        case AnalysisRetirement.State.REMOVING:
            return f"AWS is taking {analysis.bucket} out of {analysis.stack.name}.{deployment_trouble(retirement.deployment)}"
        case AnalysisRetirement.State.EMPTYING:
            failed = f" The last try failed, and another follows by itself: {retirement.error}" if retirement.error else ""
            return f"{analysis.bucket} is being emptied, and then deleted.{failed}"
        case AnalysisRetirement.State.UNDONE:
            return f"The retirement of {analysis.name} was undone by {retirement.undone_by}."
        case AnalysisRetirement.State.DONE:
            left = (KEPT if retirement.bucket == BucketChoice.KEEP else DELETED).format(bucket=analysis.bucket)
            return f"{analysis.name} is retired since {retirement.finished_at:%Y-%m-%d %H:%M} UTC. {left}"


def progress(retirement: AnalysisRetirement) -> str:
    """Describe how many versions of its bucket are deleted; empty where none are to be."""
    if retirement.bucket == BucketChoice.KEEP or retirement.state == AnalysisRetirement.State.WAITING:
        return ""
    return f"{retirement.objects_done:,} versions deleted ({format_size(retirement.bytes_done)})"


def analysis_retirement_as_dict(retirement: AnalysisRetirement) -> dict[str, Any]:
    """Return an analysis's retirement as JSON, for commands."""
    return {
        "id": retirement.pk,
        "analysis": retirement.analysis.slug,
        "bucket": retirement.analysis.bucket,
        "state": retirement.state,
        "choice": retirement.bucket,
        **course_as_dict(retirement),
        "objects": retirement.objects_done,
        "bytes": retirement.bytes_done,
        "error": retirement.error,
        "deployment": deployment_as_dict(retirement.deployment) if retirement.deployment else None,
    }
