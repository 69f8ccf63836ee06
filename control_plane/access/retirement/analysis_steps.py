"""Automatic steps of an analysis's retirement. Each is derived from the rows, so no worker's death loses one."""

import logging

from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone

from control_plane.access.groups.models import Analysis
from control_plane.access.groups.services.platform_stack import request_storage_deployment
from control_plane.access.retirement.models import AnalysisRetirement, BucketChoice
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.deployments.models import Stack
from control_plane.deployments.requests import lock

logger = logging.getLogger("cohort.retirement")

MAX_RETIREMENTS_PER_SWEEP = 20
State = AnalysisRetirement.State


def advance_analysis_retirements() -> None:
    """Begin the retirements that are due, and continue those whose bucket left its stack. A failure does not stop the others."""
    due = AnalysisRetirement.objects.filter(state=State.WAITING, due_at__lte=timezone.now())
    removed = AnalysisRetirement.objects.filter(
        state=State.REMOVING, analysis__removed_generation__lte=F("analysis__stack__deployed_generation")
    )
    for retirements, step in ((due, _begin_due), (removed, _after_removal)):
        for pk in retirements.order_by("due_at").values_list("pk", flat=True)[:MAX_RETIREMENTS_PER_SWEEP]:
            try:
                step(pk)
            except DatabaseError:
                raise
            except Exception:
                logger.exception("retirement %d of an analysis: a step failed; it is tried again with the next sweep", pk)


def begin(retirement: AnalysisRetirement, stack: Stack) -> None:
    """Request the bucket's removal from its stack, which is locked; AWS keeps the bucket. In the caller's transaction."""
    analysis = retirement.analysis
    analysis.removed_generation = stack.generation + 1
    analysis.save(update_fields=["removed_generation"])
    actor = Actor.system("retirement")
    summary = f"Taking the bucket {analysis.bucket} of {analysis.name}, which is retired, out of its stack"
    deployment = request_storage_deployment(stack, summary, actor)
    retirement.state, retirement.began_at, retirement.deployment = State.REMOVING, timezone.now(), deployment
    retirement.save(update_fields=["state", "began_at", "deployment"])
    record(actor, "analysis.retire_begin", f"analysis {analysis.slug}", retirement=retirement.pk, deployment=deployment.pk)
    logger.info("%s: its retirement is due; deployment %s takes its bucket out of the stack", analysis, deployment.pk)


def finish(retirement: AnalysisRetirement) -> None:
    """Mark the retirement as done: only the analysis's record is left."""
    with transaction.atomic():
        ours = AnalysisRetirement.objects.filter(pk=retirement.pk, state__in=(State.REMOVING, State.EMPTYING))
        if not ours.update(state=State.DONE, finished_at=timezone.now(), error="", lease_owner="", lease_until=None):
            return
        retirement.refresh_from_db()
        details = {"bucket": retirement.bucket, "objects": retirement.objects_done, "bytes": retirement.bytes_done}
        target = f"analysis {retirement.analysis.slug}"
        record(Actor.system("retirement"), "analysis.retired", target, retirement=retirement.pk, **details)
    logger.info("%s is retired", retirement.analysis)


def _begin_due(pk: int) -> None:
    with transaction.atomic():
        stack = lock(Analysis.objects.get(retirements=pk).stack_id)
        retirement = AnalysisRetirement.objects.select_for_update(of=("self",)).select_related("analysis").get(pk=pk)
        # It may have been undone, or begun by another worker, since it was selected.
        if retirement.state == State.WAITING and retirement.due_at <= timezone.now():
            begin(retirement, stack)


def _after_removal(pk: int) -> None:
    retirement = AnalysisRetirement.objects.select_related("analysis").get(pk=pk)
    if retirement.bucket == BucketChoice.KEEP:
        finish(retirement)
        return
    AnalysisRetirement.objects.filter(pk=pk, state=State.REMOVING).update(state=State.EMPTYING)
