"""Home page of a person, and the page of each of their groups."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from control_plane.access.groups.join_progress import JoinProgress, progress_of, requests_of
from control_plane.access.groups.models import Access, AccessState, Grant, Group, JoinRequest, Membership
from control_plane.access.groups.overview import (
    MembershipView,
    attach_key_ages,
    attach_usable,
    latest_deployments,
    membership_views,
)
from control_plane.access.groups.permissions import decidable_requests, may_decide
from control_plane.access.groups.services.join_codes import MAX_USABLE
from control_plane.access.keys.listing import group_key_summary
from control_plane.access.review.sign_off import sign_off_status
from control_plane.accounts.permissions import is_administrator
from control_plane.base.audit.actors import Actor
from control_plane.deployments.models import Deployment
from control_plane.deployments.stack_status import status_of
from web.groups.access import person, visible_group
from web.groups.forms import AskForm, CodeForm

MEMBERS_PER_PAGE = 50
# Requests that a manager sees on the group's own page; the queue shows the rest.
MAX_REQUESTS = 10
# The analyses of one group that home links to; its own page has them all.
MAX_ANALYSES = 8
# The uploads' part of the page, where it is installed.
UPLOADS = ("uploads/_mine.html", "groups/_nothing.html")


@require_GET
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Show my groups with their state, the progress of my requests, and what waits for me."""
    if request.headers.get("HX-Request"):
        return render(request, "groups/_mine.html", _mine(request))
    return render_home(request)


def render_home(request: HttpRequest, form: AskForm | None = None) -> HttpResponse:
    """Render the home page; with a form that was refused, and why."""
    waiting = decidable_requests(person(request)).filter(state=JoinRequest.State.WAITING).count()
    context = {"form": form or AskForm(), "waiting_for_me": waiting, "my_uploads": UPLOADS}
    return render(request, "groups/home.html", _mine(request) | context, status=422 if form else 200)


@require_GET
@login_required
def group(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a group's members and analyses, to its members and administrators; for others it does not exist."""
    group, mine = visible_group(request, slug)
    actor = Actor.of_request(request)
    decides = may_decide(actor, group)
    # Read before the rows that it changes: if it ends in between, the page polls once more.
    deployment = latest_deployments([group.stack_id]).get(group.stack_id)
    members = group.memberships.not_ended().order_by("-is_manager", "user__email")
    page = Paginator(members, MEMBERS_PER_PAGE).get_page(request.GET.get("page"))
    shown = _in_order(page.object_list)
    attach_key_ages(group, shown)
    context: dict[str, Any] = {
        "group": group,
        "mine": mine,
        "decides": decides,
        "page": page,
        "places": shown,
        "grants": list(group.grants.with_state().not_ended().select_related("analysis")),
        "deployment": deployment,
    }
    context["look_again"] = _is_moving(deployment, shown, context["grants"])
    if request.headers.get("HX-Request"):
        return render(request, "groups/_group.html", context)
    context["on_aws"] = status_of(group.stack) if is_administrator(request.user) else None
    if decides:
        context |= _decisions(group)
    return render(request, "groups/group.html", context)


def _mine(request: HttpRequest) -> dict[str, Any]:
    """Return the context that changes by itself on the home page, and how often to poll."""
    user = person(request)
    requests = requests_of(user)
    mine = membership_views(Membership.objects.filter(user=user))
    attach_usable(mine, MAX_ANALYSES)
    asked = progress_of(requests, mine)
    return {"places": mine, "standings": asked, "look_again": _look_again(mine, asked)}


def _look_again(mine: list[MembershipView], asked: list[JoinProgress]) -> str:
    """Return how long the page waits before it polls again; empty if nothing is about to change."""
    if any(membership.is_moving for membership in mine):
        return "2s"
    return "5s" if any(standing.request.is_open for standing in asked) else ""


def _is_moving(deployment: Deployment | None, members: list[MembershipView], grants: list[Grant]) -> bool:
    """Tell whether a group's page changes without anybody's action; `deployment` was read first."""
    if deployment is not None and deployment.is_open:
        return True
    has_ended_badly = deployment is not None and deployment.state in (Deployment.State.FAILED, Deployment.State.CANCELLED)
    changes = any(grant.access_state != AccessState.ACTIVE for grant in grants) and not has_ended_badly
    return changes or any(member.is_moving for member in members)


def _in_order(memberships: Any) -> list[MembershipView]:
    """Return the views of these memberships, managers first as they are on the page."""
    rows = membership_views(Membership.objects.filter(pk__in=[row.pk for row in memberships]))
    return sorted(rows, key=lambda row: (not row.membership.is_manager, row.membership.user.email))


def _decisions(group: Group) -> dict[str, Any]:
    """Return the context for people who decide about the group."""
    waiting = group.join_requests.filter(state=JoinRequest.State.WAITING)
    usable = group.join_codes.usable(timezone.now())
    return {
        "requests": list(waiting.select_related("user", "group", "code")[:MAX_REQUESTS]),
        "more_requests": max(0, waiting.count() - MAX_REQUESTS),
        "codes": list(usable[:MAX_USABLE]),
        "ended_codes": list(group.join_codes.exclude(pk__in=usable.values("pk"))[:5]),
        "code_form": CodeForm(),
        "keys": group_key_summary(group),
        "review": sign_off_status(group),
        "accesses": Access.choices,
    }
