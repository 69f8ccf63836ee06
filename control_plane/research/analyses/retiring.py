"""Requests to retire an analysis, and undoing them while there is time."""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from control_plane.access.groups.lifecycle import refuse_retired_analyses
from control_plane.access.groups.models import Analysis, Grant
from control_plane.access.retirement.analysis_serializers import DELETED, KEPT
from control_plane.access.retirement.analysis_steps import begin
from control_plane.access.retirement.errors import RetirementRefused
from control_plane.access.retirement.models import AnalysisRetirement, BucketChoice
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.deployments.models import Stack
from control_plane.deployments.requests import lock
from control_plane.research.catalogue.models import AccessRequest
from control_plane.research.jobs.models import Job

# How many groups a refusal names.
MAX_NAMED = 5


def request_retirement(
    *, analysis: Analysis, confirmation: str, actor: Actor, bucket: BucketChoice = BucketChoice.KEEP, at_once: bool = False
) -> AnalysisRetirement:
    """Request that an analysis is retired after RETIREMENT_DAYS. From now on nobody can be granted it, or ask for it.

    `confirmation` is its bucket's name as the person typed it. `at_once` leaves no time to undo it; only from the terminal.
    Raises RetirementRefused where it is in use, AnalysisRetired or PermissionDenied.
    """
    require_administrator(actor)
    if confirmation.strip() != analysis.bucket:
        raise RetirementRefused(
            f"{confirmation.strip()!r} is not the name of the analysis's bucket. Nothing was changed; type {analysis.bucket} to "
            "confirm that you mean this analysis."
        )
    if at_once and not actor.is_operator:
        raise RetirementRefused("An analysis is retired at once from the terminal alone. Nothing was changed; ask without that.")
    with transaction.atomic():
        stack = lock(analysis.stack_id)
        refuse_retired_analyses([analysis])
        _refuse_not_made(analysis, stack)
        _refuse_in_use(analysis)
        now = timezone.now()
        due_at = now if at_once else now + timedelta(days=config().retirement_days)
        retirement = AnalysisRetirement.objects.create(
            analysis=analysis, bucket=bucket, asked_by=actor.label, asked_at=now, due_at=due_at
        )
        analysis.retired_at = now
        analysis.save(update_fields=["retired_at"])
        after = {"bucket": bucket.value, "due_at": due_at.isoformat()}
        record(actor, "analysis.retire", f"analysis {analysis.slug}", after=after, retirement=retirement.pk)
        if at_once:
            begin(retirement, stack)
    return retirement


def undo_retirement(*, analysis: Analysis, actor: Actor) -> AnalysisRetirement:
    """Offer the analysis again, as it was. Raises RetirementRefused once it is being carried out, or PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        lock(analysis.stack_id)
        retirement = analysis.retirements.select_for_update().exclude(state=AnalysisRetirement.State.UNDONE).first()
        if retirement is None:
            raise RetirementRefused(f"{analysis.name} is not being retired. Nothing was changed.")
        if not retirement.can_be_undone:
            raise RetirementRefused(_too_late(retirement))
        retirement.state, retirement.undone_at = AnalysisRetirement.State.UNDONE, timezone.now()
        retirement.undone_by = actor.label
        retirement.save(update_fields=["state", "undone_at", "undone_by"])
        Analysis.objects.filter(pk=analysis.pk).update(retired_at=None)
        record(actor, "analysis.unretire", f"analysis {analysis.slug}", retirement=retirement.pk)
    return retirement


def _too_late(retirement: AnalysisRetirement) -> str:
    analysis = retirement.analysis
    what = "is being retired already, which cannot be undone" if retirement.is_open else "is retired, which cannot be undone"
    then = (KEPT if retirement.bucket == BucketChoice.KEEP else DELETED).format(bucket=analysis.bucket)
    return f"{analysis.name} {what}. Nothing was changed. {then}"


def _refuse_not_made(analysis: Analysis, stack: Stack) -> None:
    """Raise RetirementRefused where AWS was not seen to make the bucket: one of its name may be somebody else's in the account."""
    # Read anew: it may have been left out between the request and the lock.
    if Analysis.objects.filter(pk=analysis.pk).exclude(unmade_reason="").exists():
        raise RetirementRefused(
            f"AWS could not make {analysis.bucket}, so there is nothing to retire. Nothing was changed; open the analysis's page "
            "to give it another bucket or to remove it."
        )
    if analysis.added_generation > stack.deployed_generation:
        raise RetirementRefused(
            f"AWS has not made {analysis.bucket} yet. Nothing was changed; wait for the deployment of {stack.name} or have it "
            "succeed, then retire the analysis."
        )


def _refuse_in_use(analysis: Analysis) -> None:
    """Raise RetirementRefused while a group has the analysis, asks for it, or has jobs that run."""
    grants = Grant.objects.not_ended().filter(analysis=analysis).order_by("group__name")
    if granted := _named(grants.wanted()):
        raise RetirementRefused(
            f"{analysis.name} is granted to {granted}. Nothing was changed; revoke it from each of them first, then retire it."
        )
    if ending := _named(grants):
        raise RetirementRefused(
            f"AWS still lets {ending} use {analysis.name}, which is being revoked. Nothing was changed; retire it once those "
            "deployments are done."
        )
    if asking := _named(AccessRequest.objects.filter(analysis=analysis, state__in=AccessRequest.OPEN).order_by("group__name")):
        raise RetirementRefused(f"{asking} asked to use {analysis.name}. Nothing was changed; decide that first, then retire it.")
    if running := Job.objects.open().filter(analysis=analysis).count():
        verb = "job has" if running == 1 else "jobs have"
        raise RetirementRefused(
            f"{running} {verb} not ended in {analysis.name}. Nothing was changed; retire it once each of its jobs has ended."
        )


def _named(rows: "QuerySet[Grant] | QuerySet[AccessRequest]") -> str:
    """Return the names of the groups of these rows as text, the first MAX_NAMED by name; empty where there are none."""
    names = list(rows.values_list("group__name", flat=True)[: MAX_NAMED + 1])
    if len(names) > MAX_NAMED:
        return f"{', '.join(names[:MAX_NAMED])} and {rows.count() - MAX_NAMED} more"
    return ", ".join(names)
