"""Catalogue pages for administrators: decide requests, grant to several groups, describe an analysis."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.accounts.permissions import administrator_required
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.base.request_input import read_number
from control_plane.deployments.models import Deployment
from control_plane.research.catalogue.entries import FIELDS, InvalidEntry, describe, entry_of
from control_plane.research.catalogue.grants import MAX_GROUPS, grant_many, plan_grants, select_analyses
from control_plane.research.catalogue.models import AccessRequest
from control_plane.research.catalogue.requests import approve, decline
from web.catalogue.forms import EntryForm, GrantManyForm

PER_PAGE = 25
for_administrators = administrator_required("Only administrators may do this. Ask one to do it for you.")


@require_GET
@for_administrators
def requests(request: HttpRequest) -> HttpResponse:
    """Show the requests waiting for a decision, oldest first, or those decided, newest first."""
    is_history = request.GET.get("show") == "decided"
    rows = AccessRequest.objects.select_related("group", "analysis", "asked_by", "deployment")
    waiting = rows.filter(state=AccessRequest.State.WAITING)
    shown = rows.exclude(state=AccessRequest.State.WAITING) if is_history else waiting.order_by("pk")
    context = {
        "page": Paginator(shown, PER_PAGE).get_page(request.GET.get("page")),
        "is_history": is_history,
        "waiting": waiting.count(),
        "levels": Grant.Level.choices,
    }
    return render(request, "catalogue/requests.html", context)


@require_POST
@for_administrators
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve or decline a request."""
    wanted = get_object_or_404(AccessRequest.objects.select_related("group__stack", "analysis", "asked_by"), pk=pk)
    actor, note = Actor.of_request(request), request.POST.get("note", "")
    try:
        if request.POST.get("decision") == "approve":
            level = Grant.Level(request.POST.get("level", Grant.Level.READ_WRITE))
            approve(wanted, level=level, note=note, actor=actor)
            messages.success(request, f"{wanted.group.name} is being given {wanted.analysis.name}.")
        elif request.POST.get("decision") == "decline":
            decline(wanted, note=note, actor=actor)
            messages.success(request, f"{wanted.group.name} is told that it does not get {wanted.analysis.name}.")
        else:
            messages.error(request, "Choose to approve or to decline. Nothing was changed.")
    except Refused as error:
        messages.error(request, str(error))
    except ValueError:
        messages.error(request, "There is no such extent. Nothing was changed.")
    return redirect("catalogue:requests")


@require_http_methods(["GET", "POST"])
@for_administrators
def grant(request: HttpRequest) -> HttpResponse:
    """Grant several analyses to several groups: choose, preview the changes, confirm."""
    given = request.POST if request.method == "POST" else request.GET
    wanted = _numbers(given.get("groups", ""))
    groups = list(Group.objects.filter(pk__in=wanted[:MAX_GROUPS], retired_at=None).select_related("stack"))
    form = GrantManyForm(request.POST or None)
    context: dict[str, Any] = {"groups": groups, "form": form, "numbers": ",".join(str(group.pk) for group in groups)}
    if not (request.method == "POST" and form.is_valid()):
        return render(request, "catalogue/grant.html", context, status=422 if form.errors else 200)
    slugs = [analysis.slug for analysis in form.cleaned_data["analyses"]]
    analyses, level = list(select_analyses(form.cleaned_data["which"], slugs)), Grant.Level(form.cleaned_data["level"])
    if "confirm" in request.POST:
        try:
            started = grant_many(analyses=analyses, groups=groups, level=level, actor=Actor.of_request(request))
        except Refused as error:
            form.add_error(None, str(error))
            return render(request, "catalogue/grant.html", context, status=409)
        rest = len(groups) - len(started)
        messages.success(request, f"{len(started)} of {len(groups)} groups change; {rest} had it all already.")
        return redirect(f"{reverse('catalogue:granted')}?runs={','.join(str(deployment.pk) for deployment in started)}")
    context |= {"plans": plan_grants(analyses=analyses, groups=groups, level=level), "is_planned": True, "count": len(analyses)}
    return render(request, "catalogue/grant.html", context)


@require_GET
@for_administrators
def granted(request: HttpRequest) -> HttpResponse:
    """Show the deployments started by one grant to several groups, live while any of them is under way."""
    runs = Deployment.objects.filter(pk__in=_numbers(request.GET.get("runs", ""))[:MAX_GROUPS])
    page = Paginator(runs.select_related("stack").order_by("pk"), PER_PAGE).get_page(request.GET.get("page"))
    ended = runs.exclude(state__in=Deployment.OPEN).count()
    context = {"page": page, "ended": ended, "is_moving": ended < page.paginator.count}
    is_live = request.headers.get("HX-Request")
    return render(request, "catalogue/_granted.html" if is_live else "catalogue/granted.html", context)


@require_http_methods(["GET", "POST"])
@for_administrators
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Edit the entry of an analysis."""
    analysis = get_object_or_404(Analysis, slug=slug)
    form = EntryForm(request.POST or None, instance=entry_of(analysis))
    if request.method == "POST" and form.is_valid():
        try:
            describe(analysis=analysis, actor=Actor.of_request(request), **{name: form.cleaned_data[name] for name in FIELDS})
        except InvalidEntry as error:
            form.add_error(error.field, str(error))
        else:
            messages.success(request, f"{analysis.name} is described.")
            return redirect("catalogue:analysis", slug)
    return render(request, "catalogue/edit.html", {"analysis": analysis, "form": form}, status=422 if form.errors else 200)


def _numbers(text: str) -> list[int]:
    return [number for part in text.split(",") if (number := read_number(part)) is not None]
