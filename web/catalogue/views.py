"""Catalogue pages for everybody signed in: the analyses, and which of one's groups may use them."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from control_plane.access.groups.models import AccessState, Analysis, Grant, Group, Membership
from control_plane.accounts.models import User
from control_plane.accounts.permissions import is_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.refusals import NotYours
from control_plane.base.errors import Refused
from control_plane.base.view_refusals import show_refusal_on
from control_plane.research.catalogue.entries import entry_of
from control_plane.research.catalogue.models import AccessRequest
from control_plane.research.catalogue.requests import request_analysis, withdraw
from control_plane.research.catalogue.unmade import is_unmade
from web.catalogue.rendering import to_html

PER_PAGE = 25
# Groups of one person on the page of an analysis.
MAX_GROUPS = 50


@dataclass(frozen=True, slots=True)
class AnalysisAccess:
    """Access of one of my groups to an analysis: its grant, or its latest request."""

    group: Group
    is_member: bool
    grant: Grant | None
    request: AccessRequest | None
    is_made: bool = True

    @property
    def is_usable(self) -> bool:
        """True if AWS holds the membership, the grant and the bucket."""
        return self.is_made and self.grant is not None and self.is_member and self.grant.access_state == AccessState.ACTIVE

    @property
    def is_moving(self) -> bool:
        """True if it changes without this person's action."""
        if not self.is_made:
            return False
        if self.grant is not None:
            return not self.is_usable
        return self.request is not None and self.request.state == AccessRequest.State.WAITING


@require_GET
@login_required
def index(request: HttpRequest) -> HttpResponse:
    """Show all analyses, a page at a time, with those of my groups that may use each."""
    analyses = Analysis.objects.offered().select_related("entry").order_by("name")
    if typed := request.GET.get("q", "").strip():
        wanted = Q(name__icontains=typed) | Q(slug__icontains=typed) | Q(entry__summary__icontains=typed)
        analyses = analyses.filter(wanted)
    page = Paginator(analyses, PER_PAGE).get_page(request.GET.get("page"))
    mine = Grant.objects.wanted().filter(group__in=_my_groups(request), analysis__in=[analysis.pk for analysis in page.object_list])
    names: dict[int, list[str]] = {}
    for analysis_id, name in mine.values_list("analysis_id", "group__name").order_by("group__name"):
        names.setdefault(analysis_id, []).append(name)
    context: dict[str, Any] = {
        "page": page,
        "shown": [(analysis, getattr(analysis, "entry", None), names.get(analysis.pk, [])) for analysis in page.object_list],
        "typed": typed,
    }
    if is_administrator(request.user):
        context["waiting"] = AccessRequest.objects.filter(state=AccessRequest.State.WAITING).count()
    return render(request, "catalogue/index.html", context)


@require_GET
@login_required
def analysis(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one analysis with its description and the access of each of my groups, updated live."""
    analysis = Analysis.objects.select_related("stack").filter(slug=slug).first()
    if analysis is None:
        raise NotYours("There is no such analysis.")
    standings = _standings(request, analysis)
    context: dict[str, Any] = {
        "analysis": analysis,
        "standings": standings,
        "is_moving": any(standing.is_moving for standing in standings),
    }
    if request.headers.get("HX-Request"):
        return render(request, "catalogue/_standings.html", context)
    entry = entry_of(analysis)
    shows_bucket = is_administrator(request.user) or any(standing.grant for standing in standings)
    context |= {"entry": entry, "description": to_html(entry.description), "shows_bucket": shows_bucket}
    if is_administrator(request.user):
        context["can_change_bucket"] = is_unmade(analysis)
    return render(request, "catalogue/analysis.html", context)


@require_POST
@login_required
@show_refusal_on("catalogue:analysis", "slug")
def ask_for(request: HttpRequest, slug: str) -> HttpResponse:
    """Request access for one of my groups."""
    analysis = get_object_or_404(Analysis, slug=slug)
    group = Group.objects.select_related("stack").filter(pk__in=_my_groups(request), slug=request.POST.get("group", "")).first()
    if group is None:
        raise NotYours("You are not in that group.")
    request_analysis(group=group, analysis=analysis, reason=request.POST.get("reason", ""), actor=Actor.of_request(request))
    messages.success(request, f"Asked for {group.name}. An administrator decides; you are told by e-mail, and here.")
    return redirect("catalogue:analysis", slug)


@require_POST
@login_required
def withdraw_request(request: HttpRequest, pk: int) -> HttpResponse:
    """Withdraw a request."""
    wanted = AccessRequest.objects.select_related("group", "analysis", "asked_by").filter(pk=pk).first()
    if wanted is None:
        raise NotYours("There is no such request.")
    try:
        withdraw(wanted, actor=Actor.of_request(request))
        messages.success(request, "The request is withdrawn.")
    except Refused as error:
        messages.error(request, str(error))
    return redirect("catalogue:analysis", wanted.analysis.slug)


def _my_groups(request: HttpRequest) -> QuerySet[Any, Any]:
    if not isinstance(request.user, User):
        raise PermissionDenied("Sign in first.")
    return Membership.objects.wanted().filter(user=request.user, group__retired_at=None).values("group")


def _standings(request: HttpRequest, analysis: Analysis) -> list[AnalysisAccess]:
    """Return the access of my groups to the analysis, in four queries for any number of groups."""
    memberships = (
        Membership.objects.wanted()
        .filter(user=request.user, group__retired_at=None)
        .select_related("group__stack")
        .order_by("group__name")[:MAX_GROUPS]
    )
    mine = {membership.group_id: membership for membership in memberships}
    # Read before the grants: a request decided in between shows as waiting or as granted, never as neither.
    asked = {
        access_request.group_id: access_request
        for access_request in AccessRequest.objects.filter(group__in=mine, analysis=analysis)
        .select_related("asked_by")
        .order_by("pk")
    }
    grants = {grant.group_id: grant for grant in Grant.objects.wanted().filter(group__in=mine, analysis=analysis)}
    for pk, grant in grants.items():
        grant.group = mine[pk].group
    is_made = not analysis.unmade_reason
    return [
        AnalysisAccess(membership.group, membership.access_state == AccessState.ACTIVE, grants.get(pk), asked.get(pk), is_made)
        for pk, membership in mine.items()
    ]
