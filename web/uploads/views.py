"""Unfinished uploads, as parts of other pages."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from control_plane.access.groups.errors import Suspended
from control_plane.accounts.models import User
from control_plane.base.audit.refusals import NotYours
from control_plane.base.errors import Refused
from control_plane.research.storage.group_folder import find_group_folder
from control_plane.research.uploads.models import Upload

PER_PAGE = 20
MAX_FOLDERS = 10


@require_GET
@login_required
def unfinished(request: HttpRequest, group: str, analysis: str) -> HttpResponse:
    """Show my unfinished uploads in one folder, from any device."""
    try:
        folder = find_group_folder(group_slug=group, analysis_slug=analysis, user=_person(request))
    except Suspended as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except Refused as refusal:
        raise NotYours(str(refusal)) from refusal
    mine = Upload.objects.owned_by(group=folder.group, analysis=folder.analysis, user=request.user).unfinished()
    page = Paginator(mine, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "uploads": page,
        "ids": ",".join(str(upload.pk) for upload in page.object_list),
        "total": mine.order_by().aggregate(files=Count("pk"), bytes=Sum("size")),
    }
    return render(request, "uploads/_unfinished.html", context)


@require_GET
@login_required
def mine(request: HttpRequest) -> HttpResponse:
    """Show the folders in which I have unfinished uploads, for the home page."""
    rows = (
        Upload.objects.unfinished()
        .filter(user=_person(request), group__memberships__user=request.user.pk, group__memberships__removed_generation=None)
        .order_by("group__slug", "analysis__slug")
        .values("group__slug", "group__name", "analysis__slug", "analysis__name")
        .annotate(files=Count("pk", distinct=True), bytes=Sum("size"))[:MAX_FOLDERS]
    )
    return render(request, "uploads/_mine_rows.html", {"rows": rows})


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise NotYours("Sign in first.")
    return request.user
