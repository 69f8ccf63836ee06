"""Analyses: making them, granting them to groups, and revoking grants."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.confusables import look_alike_of
from control_plane.access.groups.errors import AlreadyGranted, BucketNotMade, NameTaken, NotGranted
from control_plane.access.groups.lifecycle import refuse_retired_analyses, refuse_retiring
from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.access.groups.services.bucket_names import require_free
from control_plane.access.groups.services.groups import check_fields, name_taken_on_conflict, request_group_deployment
from control_plane.access.groups.services.platform_stack import request_storage_deployment, stack_with_room
from control_plane.accounts.permissions import require_administrator
from control_plane.accounts.validation import tidy_name
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.base.errors import InvalidName, NotFound
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import lock
from stacks import names

# The catalogue's own pages have these names, where an analysis's page would be.
RESERVED_SLUGS = frozenset({"requests", "grant", "granted"})


def create_analysis(*, slug: str, bucket: str, name: str = "", actor: Actor) -> tuple[Analysis, Deployment]:
    """Make an analysis, and have AWS make its bucket.

    Raises InvalidName, NameTaken, BucketTaken, BucketNotAsked, LimitReached or PermissionDenied.
    """
    require_administrator(actor)
    slug, bucket, name = slug.strip(), bucket.strip(), tidy_name(name) or slug.strip()
    analysis = Analysis(slug=slug, name=name, bucket=bucket, added_generation=0)
    check_fields(analysis, exclude=["stack"])
    if slug in RESERVED_SLUGS:
        raise InvalidName(f"No analysis can have the slug {slug!r}: the site has a page of that name. Nothing was changed.")
    check_within_reach(bucket)
    _check_free(analysis)
    require_free(bucket)
    with transaction.atomic(), name_taken_on_conflict(f"The slug {slug!r}, the name {name!r} or the bucket {bucket!r}"):
        stack = stack_with_room()
        _check_free(analysis)
        analysis.stack, analysis.added_generation = stack, stack.generation + 1
        analysis.save()
        deployment = request_storage_deployment(stack, f"Making the bucket {bucket} of the analysis {name}", actor)
        record(actor, "analysis.create", f"analysis {slug}", after={"bucket": bucket, "name": name}, deployment=deployment.pk)
    return analysis, deployment


def grant_analysis(*, analysis: Analysis, group: Group, level: Grant.Level, actor: Actor) -> Deployment:
    """Grant a group an analysis, or change the level of the grant.

    Raises AlreadyGranted, BucketNotMade, LimitReached or PermissionDenied.
    """
    require_administrator(actor)
    refuse_unmade(analysis)
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        refuse_retiring(group)
        refuse_retired_analyses([analysis])
        before = Grant.objects.wanted().filter(group=group, analysis=analysis).first()
        if before and before.level == level:
            raise AlreadyGranted(f"{group.name} has {analysis.name} already ({level.value}). Nothing was changed.")
        if before:
            _end(before, group)
        added = {"added_generation": group.stack.generation + 1, "added_by": actor.label}
        Grant.objects.create(group=group, analysis=analysis, level=level, **added)
        deployment = request_group_deployment(group, f"Letting {group.name} use {analysis.name} ({level.value})", actor)
        record(
            actor,
            "analysis.grant",
            f"{analysis.slug} to {group.slug}",
            before={"level": before.level if before else None},
            after={"level": level.value},
            deployment=deployment.pk,
        )
    return deployment


def grant_analyses(*, analyses: Sequence[Analysis], group: Group, level: Grant.Level, actor: Actor) -> Deployment:
    """Grant several analyses in one deployment, as `grant_analysis` does. None may be granted at this level already."""
    require_administrator(actor)
    for analysis in analyses:
        refuse_unmade(analysis)
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        refuse_retiring(group)
        refuse_retired_analyses(analyses)
        before = {grant.analysis_id: grant for grant in Grant.objects.wanted().filter(group=group, analysis__in=analyses)}
        for grant in before.values():
            _end(grant, group)
        added = {"added_generation": group.stack.generation + 1, "added_by": actor.label}
        Grant.objects.bulk_create([Grant(group=group, analysis=analysis, level=level, **added) for analysis in analyses])
        names_of = analyses[0].name if len(analyses) == 1 else f"{len(analyses)} analyses"
        deployment = request_group_deployment(group, f"Letting {group.name} use {names_of} ({level.value})", actor)
        record(
            actor,
            "analysis.grant",
            f"{', '.join(analysis.slug for analysis in analyses[:20])} to {group.slug}",
            before={"levels": {analysis.slug: before[analysis.pk].level for analysis in analyses if analysis.pk in before}},
            after={"level": level.value, "count": len(analyses)},
            deployment=deployment.pk,
        )
    return deployment


def revoke_analysis(*, analysis: Analysis, group: Group, actor: Actor) -> Deployment:
    """Revoke a group's grant of an analysis; its data stays. Raises NotGranted or PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        grant = Grant.objects.wanted().filter(group=group, analysis=analysis).first()
        if grant is None:
            raise NotGranted(f"{group.name} does not have {analysis.name}. Nothing was changed.")
        _end(grant, group)
        deployment = request_group_deployment(group, f"Ending {group.name}’s use of {analysis.name}", actor)
        record(
            actor, "analysis.revoke", f"{analysis.slug} from {group.slug}", before={"level": grant.level}, deployment=deployment.pk
        )
    return deployment


def find_analysis(slug: str) -> Analysis:
    """Return the analysis with this slug. Raises NotFound."""
    try:
        return Analysis.objects.select_related("stack").get(slug=slug.strip())
    except Analysis.DoesNotExist as error:
        raise NotFound(
            f"There is no analysis {slug!r}. Nothing was changed; `manage.py analysis list` shows those there are."
        ) from error


def refuse_unmade(analysis: Analysis) -> None:
    """Raise BucketNotMade if AWS could not make the analysis's bucket."""
    if Analysis.objects.filter(pk=analysis.pk).exclude(unmade_reason="").exists():
        raise BucketNotMade(
            f"AWS could not make the bucket of {analysis.name}, so nobody can be granted it. Nothing was changed; the "
            "analysis’s page says why and what to do."
        )


def _end(grant: Grant, group: Group) -> None:
    grant.removed_generation, grant.removed_at = group.stack.generation + 1, timezone.now()
    grant.save(update_fields=["removed_generation", "removed_at"])


def check_within_reach(bucket: str) -> None:
    """Raise InvalidName for a bucket that the groups' permissions boundary leaves out: no group could ever use it."""
    patterns = config().bucket_patterns
    if not names.bucket_fits(bucket, patterns):
        raise InvalidName(
            f"The bucket {bucket!r} is none that groups can reach: its name has to fit {' or '.join(patterns)}. Nothing was "
            "changed. Choose another name; or have an administrator of the AWS account add it to bucket_patterns in site.toml, "
            "deploy Cohort-Bootstrap again (python -m stacks.bootstrap deploy), and set BUCKET_PATTERNS alike."
        )


def _check_free(analysis: Analysis) -> None:
    if Analysis.objects.filter(slug=analysis.slug).exists():
        raise NameTaken(f"There is an analysis {analysis.slug!r} already. Nothing was changed; choose another slug.")
    if Analysis.objects.filter(name__iexact=analysis.name).exists():
        raise NameTaken(f"There is an analysis called {analysis.name!r} already. Nothing was changed; choose another name.")
    if looks_like := look_alike_of(analysis.name, Analysis.objects.all()):
        raise NameTaken(
            f"The name {analysis.name!r} looks like {looks_like.name!r}, the name of the analysis {looks_like.slug!r}. Nothing was "
            "changed; choose another name."
        )
    if other := Analysis.objects.filter(bucket=analysis.bucket).first():
        raise NameTaken(f"The bucket {analysis.bucket!r} is that of the analysis {other.slug!r}. Nothing was changed.")
