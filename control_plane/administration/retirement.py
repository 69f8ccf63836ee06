"""The end of a group in the administration: what goes and what stays, asking for it, watching it, and undoing it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextInputWidget

from control_plane.access.groups.models import Group
from control_plane.access.retirement.models import DataChoice, Retirement, Survey
from control_plane.access.retirement.requests import request_retirement, request_survey, undo_retirement
from control_plane.access.retirement.serializers import place_in_words, preview, retirement_status
from control_plane.accounts.permissions import is_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.config import config
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment

# What the page shows of who was in the group; the rest is told as a number.
MAX_FORMER = 50
ICONS = {
    Retirement.State.WAITING: "⏳",
    Retirement.State.REMOVING: "⟳",
    Retirement.State.DATA: "⟳",
    Retirement.State.DONE: "✓",
    Retirement.State.UNDONE: "↶",
}


class RetireForm(forms.Form):
    """What becomes of the data, and the slug, typed out."""

    objects = forms.ChoiceField(
        choices=DataChoice.choices, initial=DataChoice.KEEP, label="Its data in S3", widget=UnfoldAdminRadioSelectWidget
    )
    confirmation = forms.CharField(
        max_length=64, label="The group’s slug", widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, slug: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["confirmation"].help_text = f"Type {slug} to confirm that you mean this group."


class StandingFilter(SimpleListFilter):
    """Groups that are in use, being retired, or retired."""

    title, parameter_name = "standing", "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "In use"), ("retiring", "Being retired"), ("retired", "Retired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        is_open = Exists(Retirement.objects.filter(group=OuterRef("pk"), state__in=Retirement.OPEN))
        match self.value():
            case "active":
                return queryset.filter(~is_open, retired_at__isnull=True)
            case "retiring":
                return queryset.filter(is_open)
            case "retired":
                return queryset.filter(retired_at__isnull=False)
        return queryset


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """The pages, beneath the administration's list of groups."""
    wrap = model_admin.admin_site.admin_view
    return [
        path("<int:pk>/retire/", wrap(lambda request, pk: _page(request, pk, model_admin)), name="groups_group_retire_page"),
        path("<int:pk>/retire/live/", wrap(_live), name="groups_group_retire_live"),
        path("<int:pk>/retire/undo/", wrap(_undo), name="groups_group_retire_undo"),
    ]


def _page(request: HttpRequest, pk: int, model_admin: ModelAdmin[Any]) -> HttpResponse:
    """Ask for the retirement; or see how far it is."""
    group = _group(request, pk)
    form = RetireForm(request.POST or None, slug=group.slug)
    if request.method == "POST" and form.is_valid():
        try:
            retirement = request_retirement(
                group=group,
                confirmation=form.cleaned_data["confirmation"],
                data=DataChoice(form.cleaned_data["objects"]),
                actor=Actor.of_request(request),
            )
        except Refused as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, retirement_status(retirement))
            return redirect("admin:groups_group_retire_page", pk=pk)
    context = {
        **model_admin.admin_site.each_context(request),
        **_standing(request, group),
        "opts": model_admin.opts,
        "title": f"Retire {group.name}",
        "form": form,
        "days": config().retirement_days,
    }
    return TemplateResponse(request, "retirement/page.html", context, status=422 if form.errors else 200)


def _live(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that changes by itself."""
    group = _group(request, pk)
    return TemplateResponse(request, "retirement/_live.html", _standing(request, group))


def _undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the group its access back."""
    group = _group(request, pk)
    if request.method == "POST":
        try:
            messages.success(request, retirement_status(undo_retirement(group=group, actor=Actor.of_request(request))))
        except Refused as error:
            messages.error(request, str(error))
    return redirect("admin:groups_group_retire_page", pk=pk)


def _group(request: HttpRequest, pk: int) -> Group:
    if not is_administrator(request.user):
        raise PermissionDenied("Only administrators may retire a group. Ask one to do it for you.")
    return get_object_or_404(Group.objects.select_related("stack"), pk=pk)


def _standing(request: HttpRequest, group: Group) -> dict[str, Any]:
    """What is known: of the retirement, if there is one that was not undone, else of what would go and stay."""
    retirements = group.retirements.select_related("group", "deployment").exclude(state=Retirement.State.UNDONE)
    retirement = retirements.first()
    if retirement is None:
        survey = request_survey(group, actor=Actor.of_request(request))
        return {
            "group": group,
            "retirement": None,
            "survey": survey,
            "preview": preview(group, survey),
            "look_again": survey.state == Survey.State.WAITING,
        }
    former = group.memberships.filter(removed_generation__isnull=False).select_related("user").order_by("user__email")
    deployment = retirement.deployment
    return {
        "group": group,
        "retirement": retirement,
        "icon": ICONS[Retirement.State(retirement.state)],
        "standing": retirement_status(retirement),
        "places": [place_in_words(retirement, one) for one in retirement.places.all()],
        "former": former[:MAX_FORMER],
        "more_former": max(0, former.count() - MAX_FORMER),
        "has_failed": deployment is not None and deployment.state == Deployment.State.FAILED,
        "look_again": retirement.is_open,
    }
