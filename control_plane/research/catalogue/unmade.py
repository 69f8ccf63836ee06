"""Analyses whose bucket AWS has not made: leaving them out so that the rest is deployed, retrying, renaming and removing."""

from collections.abc import Mapping, Sequence

from django.db import transaction
from django.db.models import ProtectedError, QuerySet

from control_plane.access.groups.errors import BucketMade, NameTaken
from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.access.groups.services.analyses import check_within_reach
from control_plane.access.groups.services.bucket_names import require_free
from control_plane.access.groups.services.earlier_versions import days_after_cancelling, last_manifest, next_days
from control_plane.access.groups.services.groups import check_fields, name_taken_on_conflict, request_group_deployment
from control_plane.access.groups.services.platform_stack import request_storage_deployment, request_with_days
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.requests import lock
from control_plane.research.catalogue.models import AccessRequest
from stacks import names

MAX_REASON_CHARACTERS = 1000
# Groups and requests that a refusal names.
MAX_NAMED = 5


def leave_out(stack_id: int, reasons: Mapping[str, str]) -> list[Analysis]:
    """Leave out the analyses whose buckets made a storage stack's deployment fail, and deploy the rest. For a worker.

    `reasons` are CloudFormation's, by logical id of the resource that failed. A bucket that exists is never left out.
    Returns the analyses.
    """
    with transaction.atomic():
        stack = lock(stack_id)
        left_out = [analysis for analysis in _not_made(stack) if names.bucket_logical_id(analysis.bucket) in reasons]
        for analysis in left_out:
            analysis.unmade_reason = (
                reasons[names.bucket_logical_id(analysis.bucket)][:MAX_REASON_CHARACTERS] or "AWS gave no reason."
            )
        _deploy_without(left_out, stack, "which AWS could not make", Actor.system("engine"), next_days(stack))
    return left_out


def leave_out_cancelled(*, deployment: Deployment, stack: Stack, actor: Actor) -> Deployment | None:
    """Leave out the analyses of a cancelled deployment, and keep earlier versions for as long as AWS does now.

    Runs in the caller's transaction; see `signals.deployment_cancelled`.
    """
    if stack.kind != Stack.Kind.PLATFORM:
        return None
    left_out = [analysis for analysis in _not_made(stack) if analysis.added_generation <= deployment.generation]
    for analysis in left_out:
        analysis.unmade_reason = f"Cancelled by {actor.label} before AWS had made it."
    days, last = days_after_cancelling(stack), last_manifest(stack)
    if not left_out and last is not None and last.earlier_versions_days != days:
        return request_with_days(stack, "Keeping earlier versions as before", actor, days)
    return _deploy_without(left_out, stack, "which was cancelled", actor, days)


def _not_made(stack: Stack) -> QuerySet[Analysis]:
    return Analysis.objects.wanted().filter(stack=stack, added_generation__gt=stack.deployed_generation).order_by("slug")


def _deploy_without(left_out: Sequence[Analysis], stack: Stack, why: str, actor: Actor, days: int | None) -> Deployment | None:
    if not left_out:
        return None
    for analysis in left_out:
        analysis.save(update_fields=["unmade_reason"])
    slugs = ", ".join(analysis.slug for analysis in left_out)
    deployment = request_with_days(stack, f"Going on without {slugs}, {why}"[:400], actor, days)
    for analysis in left_out:
        after = {"bucket": analysis.bucket, "reason": analysis.unmade_reason}
        record(actor, "analysis.leave_out", f"analysis {analysis.slug}", after=after, deployment=deployment.pk)
        _redeploy_groups(analysis, f"Taking back the right to {analysis.bucket}, {why}", actor)
    return deployment


def try_again(*, analysis: Analysis, actor: Actor) -> Deployment:
    """Retry making the bucket of an analysis that was left out.

    Raises BucketMade, BucketTaken, BucketNotAsked or PermissionDenied.
    """
    require_administrator(actor)
    if not analysis.unmade_reason:
        raise BucketMade(f"{analysis.name} was not left out, so there is nothing to try again. Nothing was changed.")
    require_free(analysis.bucket)
    with transaction.atomic():
        stack, analysis = _lock_analysis(analysis)
        _refuse_made(analysis, stack)
        deployment = _request_bucket(analysis, stack, f"Trying to make the bucket {analysis.bucket} again", actor)
        record(actor, "analysis.try_again", f"analysis {analysis.slug}", deployment=deployment.pk)
    return deployment


def rename_bucket(*, analysis: Analysis, bucket: str, actor: Actor) -> Deployment:
    """Give an analysis whose bucket was never made another bucket.

    Its groups keep their grants. Raises BucketMade, InvalidName, NameTaken, BucketTaken, BucketNotAsked, LimitReached or
    PermissionDenied.
    """
    require_administrator(actor)
    bucket = bucket.strip()
    _refuse_made(analysis, analysis.stack)
    check_fields(Analysis(bucket=bucket, added_generation=0), exclude=["stack", "slug", "name"])
    check_within_reach(bucket)
    if bucket == analysis.bucket:
        raise NameTaken(f"The bucket is called {bucket!r} already. Nothing was changed; choose another name, or try again.")
    if other := Analysis.objects.filter(bucket=bucket).first():
        raise NameTaken(f"The bucket {bucket!r} is that of the analysis {other.slug!r}. Nothing was changed.")
    require_free(bucket)
    with transaction.atomic(), name_taken_on_conflict(f"The bucket {bucket!r}"):
        stack, analysis = _lock_analysis(analysis)
        _refuse_made(analysis, stack)
        before, analysis.bucket = analysis.bucket, bucket
        deployment = _request_bucket(
            analysis, stack, f"Making the bucket {bucket} of {analysis.name} instead of {before}"[:400], actor
        )
        record(
            actor,
            "analysis.rename_bucket",
            f"analysis {analysis.slug}",
            before={"bucket": before},
            after={"bucket": bucket},
            deployment=deployment.pk,
        )
    return deployment


def remove_analysis(*, analysis: Analysis, confirmation: str, actor: Actor) -> Deployment | None:
    """Remove an analysis whose bucket was never made, and its catalogue entry, for good.

    `confirmation` is its slug. Returns the deployment that leaves the bucket out, or None if it was left out before. Raises
    BucketMade, NameTaken if something still refers to it, or PermissionDenied.
    """
    require_administrator(actor)
    if confirmation.strip() != analysis.slug:
        raise NameTaken(f"Type the analysis’s slug, {analysis.slug}, to confirm. Nothing was changed.")
    with transaction.atomic():
        stack, analysis = _lock_analysis(analysis)
        _refuse_made(analysis, stack)
        _refuse_granted(analysis)
        before = {"bucket": analysis.bucket, "name": analysis.name, "reason": analysis.unmade_reason}
        was_wanted, slug, pk = not analysis.unmade_reason, analysis.slug, analysis.pk
        requests, _ = AccessRequest.objects.filter(analysis=pk).delete()
        Grant.objects.filter(analysis=pk).delete()
        try:
            analysis.delete()
        except ProtectedError as error:
            raise BucketMade(f"{before['name']} was used already. Nothing was changed.") from error
        deployment = request_storage_deployment(stack, f"Leaving out the analysis {slug}", actor) if was_wanted else None
        record(
            actor,
            "analysis.remove",
            f"analysis {slug}",
            before=before,
            requests=requests,
            deployment=deployment.pk if deployment else None,
        )
    return deployment


def is_unmade(analysis: Analysis) -> bool:
    """Tell whether the analysis can be renamed or removed: its bucket was never made, and is not being made."""
    return not _why_made(analysis, analysis.stack)


def _lock_analysis(analysis: Analysis) -> tuple[Stack, Analysis]:
    stack = lock(analysis.stack_id)
    analysis = Analysis.objects.select_for_update().get(pk=analysis.pk)
    analysis.stack = stack
    return stack, analysis


def _request_bucket(analysis: Analysis, stack: Stack, summary: str, actor: Actor) -> Deployment:
    analysis.unmade_reason, analysis.added_generation = "", stack.generation + 1
    analysis.save(update_fields=["bucket", "unmade_reason", "added_generation"])
    deployment = request_storage_deployment(stack, summary, actor)
    _redeploy_groups(analysis, f"Letting the group use the bucket {analysis.bucket} of {analysis.name}", actor)
    return deployment


def _redeploy_groups(analysis: Analysis, summary: str, actor: Actor) -> None:
    """Deploy the groups that were granted the analysis, so that their right to its bucket is given or taken."""
    granted = Grant.objects.wanted().filter(analysis=analysis, group__retired_at=None, group__stack__is_retired=False)
    # In one order, as everywhere that locks several.
    stacks = {
        stack.pk: stack for stack in Stack.objects.select_for_update().filter(pk__in=granted.values("group__stack")).order_by("pk")
    }
    for group in Group.objects.filter(stack__in=stacks).order_by("stack"):
        group.stack = stacks[group.stack_id]
        request_group_deployment(group, summary[:400], actor)


def _refuse_made(analysis: Analysis, stack: Stack) -> None:
    if why := _why_made(analysis, stack):
        raise BucketMade(f"{why} Nothing was changed.")


def _why_made(analysis: Analysis, stack: Stack) -> str:
    """Return why AWS has the bucket, or may have it; empty if it certainly has not."""
    if stack.needs_decision or stack.known_generation is not None:
        return f"This database was restored, and AWS may hold more of {stack.title} than it says. Have the stack checked first."
    if analysis.unmade_reason:
        return ""
    if analysis.added_generation <= stack.deployed_generation:
        return f"AWS has made the bucket {analysis.bucket}: it can be neither renamed nor removed here."
    begun = Deployment.objects.filter(stack=stack, generation__gte=analysis.added_generation, started_at__isnull=False)
    if begun.exists():
        return f"AWS may be making the bucket {analysis.bucket} just now. Wait for the deployment; deploy again if it failed."
    return ""


def _refuse_granted(analysis: Analysis) -> None:
    grants = Grant.objects.filter(analysis=analysis).not_ended().select_related("group").order_by("group__slug")
    if slugs := list(grants.values_list("group__slug", flat=True)[: MAX_NAMED + 1]):
        named = ", ".join(slugs[:MAX_NAMED]) + (" and more" if len(slugs) > MAX_NAMED else "")
        raise NameTaken(
            f"{analysis.name} is granted to {named}. Nothing was changed; revoke that first, wait until AWS has it, and try again."
        )
