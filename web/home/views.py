"""What a person can do now, and who can reach what in a group of theirs."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from control_plane.accounts.models import User
from control_plane.accounts.permissions import is_administrator
from control_plane.deployments.standing import on_aws
from control_plane.groups.models import Group, Membership
from control_plane.groups.overview import latest_deployments, places

MEMBERS_PER_PAGE = 50


@require_GET
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """My groups with their state, or the next step if I am in none."""
    mine = places(Membership.objects.filter(user=request.user.pk))
    is_changing = any(place.doing and not (place.has_failed or place.was_cancelled) for place in mine)
    template = "home/_my_groups.html" if request.headers.get("HX-Request") else "home/home.html"
    return render(request, template, {"places": mine, "is_changing": is_changing})


@require_GET
@login_required
def group(request: HttpRequest, slug: str) -> HttpResponse:
    """A group's members and analyses, to those who are in it and to administrators; to others it does not exist."""
    found = Group.objects.select_related("stack").filter(slug=slug).first()
    if found is None or not _may_see(request, found):
        raise Http404
    page = Paginator(found.memberships.not_ended().order_by("user__email"), MEMBERS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "group": found,
        "page": page,
        "places": places(Membership.objects.filter(pk__in=[row.pk for row in page.object_list])),
        "grants": found.grants.with_state().not_ended().select_related("analysis"),
        "deployment": latest_deployments([found.stack_id]).get(found.stack_id),
        "on_aws": on_aws(found.stack) if is_administrator(request.user) else None,
    }
    template = "home/_group.html" if request.headers.get("HX-Request") else "home/group.html"
    return render(request, template, context)


def _may_see(request: HttpRequest, group: Group) -> bool:
    if not isinstance(request.user, User):
        return False
    return is_administrator(request.user) or group.memberships.wanted().filter(user=request.user).exists()
