"""Grants of several analyses to several groups at once: one deployment for each group."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from django.db import transaction
from django.db.models import Q, QuerySet

from control_plane.access.groups.lifecycle import refuse_retired_analyses
from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.access.groups.services.analyses import grant_analyses
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment, Stack

AnalysisSelection = Literal["default", "all", "some"]
MAX_GROUPS, MAX_ANALYSES = 500, 200


@dataclass(frozen=True, slots=True)
class GrantPlan:
    """Changes that a grant makes in one group: analyses that it gets, or gets with another level.

    `narrowed` are those of them that it may write in now, and only read then.
    """

    group: Group
    analyses: tuple[Analysis, ...]
    narrowed: tuple[Analysis, ...] = ()


def select_analyses(which: AnalysisSelection, slugs: Iterable[str] = ()) -> QuerySet[Analysis]:
    """Return the default analyses (those not made for certain groups), all, or those with these slugs; never a retired one."""
    match which:
        case "all":
            return Analysis.objects.offered()
        case "default":
            return Analysis.objects.offered().filter(Q(entry=None) | Q(entry__is_custom=False))
        case _:
            return Analysis.objects.offered().filter(slug__in=list(slugs))


def plan_grants(*, analyses: Sequence[Analysis], groups: Sequence[Group], level: Grant.Level) -> list[GrantPlan]:
    """Return the changes that granting makes, group by group, without groups that it does not change. One query."""
    wanted = Grant.objects.wanted().filter(group__in=groups).values_list("group_id", "analysis_id", "level")
    held = {(group, analysis): had for group, analysis, had in wanted}
    plans = []
    for group in groups:
        changed = tuple(analysis for analysis in analyses if held.get((group.pk, analysis.pk)) != level)
        # A group that has another level than read-only can write.
        narrowed = tuple(analysis for analysis in changed if level == Grant.Level.READ_ONLY and (group.pk, analysis.pk) in held)
        plans.append(GrantPlan(group, changed, narrowed))
    return [plan for plan in plans if plan.analyses]


def grant_many(*, analyses: Sequence[Analysis], groups: Sequence[Group], level: Grant.Level, actor: Actor) -> list[Deployment]:
    """Grant the analyses to the groups: one deployment for each group. Grants that exist with that level are left as they are.

    All or nothing: if one group is refused (a limit, retirement), no group is changed. Raises Refused or PermissionDenied.
    """
    require_administrator(actor)
    if not analyses or not groups:
        raise Refused("Choose at least one analysis and one group. Nothing was changed.")
    if len(groups) > MAX_GROUPS or len(analyses) > MAX_ANALYSES:
        raise Refused(f"At most {MAX_ANALYSES} analyses and {MAX_GROUPS} groups at once. Nothing was changed.")
    with transaction.atomic():
        # Locked in one order, so that two grants at once do not deadlock; and before the groups' grants are read, so that the
        # second leaves alone what the first has granted.
        list(Stack.objects.select_for_update().filter(pk__in=[group.stack_id for group in groups]).order_by("pk"))
        refuse_retired_analyses(analyses)
        planned = sorted(plan_grants(analyses=analyses, groups=groups, level=level), key=lambda plan: plan.group.stack_id)
        return [grant_analyses(analyses=plan.analyses, group=plan.group, level=level, actor=actor) for plan in planned]
