"""The end of an analysis in the administration: asking for it, watching it, and undoing it while there is time."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET, require_POST
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextInputWidget

from control_plane.access.groups.models import Analysis
from control_plane.access.retirement.analysis_serializers import analysis_retirement_status, progress
from control_plane.access.retirement.models import AnalysisRetirement, BucketChoice
from control_plane.accounts.permissions import is_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.config import config
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment
from control_plane.research.analyses.retiring import request_retirement, undo_retirement

ICONS = {
    AnalysisRetirement.State.WAITING: "⏳",
    AnalysisRetirement.State.REMOVING: "⟳",
    AnalysisRetirement.State.EMPTYING: "⟳",
    AnalysisRetirement.State.DONE: "✓",
}


class RetireAnalysisForm(forms.Form):
    """What becomes of the bucket, and its name, typed out."""

    bucket = forms.ChoiceField(
        choices=BucketChoice.choices, initial=BucketChoice.KEEP, label="Its bucket", widget=UnfoldAdminRadioSelectWidget
    )
    confirmation = forms.CharField(
        max_length=63, label="The bucket’s name", widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["confirmation"].help_text = f"Type {name} to confirm that you mean this analysis."


def urls(model_admin: ModelAdmin[Any]) -> list[URLPattern]:
    """The pages, beneath the administration's list of analyses."""
    wrap = model_admin.admin_site.admin_view
    return [
        path("<int:pk>/retire/", wrap(lambda request, pk: _page(request, pk, model_admin)), name="groups_analysis_retire_page"),
        path("<int:pk>/retire/live/", wrap(require_GET(_live)), name="groups_analysis_retire_live"),
        path("<int:pk>/retire/undo/", wrap(require_POST(_undo)), name="groups_analysis_retire_undo"),
    ]


def _page(request: HttpRequest, pk: int, model_admin: ModelAdmin[Any]) -> HttpResponse:
    """Ask for the retirement; or see how far it is."""
    analysis = _analysis(request, pk)
    form = RetireAnalysisForm(request.POST or None, name=analysis.bucket)
    if request.method == "POST" and form.is_valid():
        try:
            retirement = request_retirement(
                analysis=analysis,
                confirmation=form.cleaned_data["confirmation"],
                bucket=BucketChoice(form.cleaned_data["bucket"]),
                actor=Actor.of_request(request),
            )
        except Refused as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, analysis_retirement_status(retirement))
            return redirect("admin:groups_analysis_retire_page", pk=pk)
    context = {
        **model_admin.admin_site.each_context(request),
        **_standing(analysis),
        "opts": model_admin.opts,
        "title": f"Retire {analysis.name}",
        "form": form,
        "days": config().retirement_days,
    }
    return TemplateResponse(request, "retirement/analysis.html", context, status=422 if form.errors else 200)


def _live(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that changes by itself."""
    return TemplateResponse(request, "retirement/_analysis_live.html", _standing(_analysis(request, pk)))


def _undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Offer the analysis again."""
    analysis = _analysis(request, pk)
    try:
        messages.success(request, analysis_retirement_status(undo_retirement(analysis=analysis, actor=Actor.of_request(request))))
    except Refused as error:
        messages.error(request, str(error))
    return redirect("admin:groups_analysis_retire_page", pk=pk)


def _analysis(request: HttpRequest, pk: int) -> Analysis:
    if not is_administrator(request.user):
        raise PermissionDenied("Only administrators may retire an analysis. Ask one to do it for you.")
    return get_object_or_404(Analysis.objects.select_related("stack"), pk=pk)


def _standing(analysis: Analysis) -> dict[str, Any]:
    """What is known of the retirement, if there is one that was not undone."""
    retirements = analysis.retirements.select_related("analysis", "deployment__stack")
    retirement = retirements.exclude(state=AnalysisRetirement.State.UNDONE).first()
    if retirement is None:
        return {"analysis": analysis, "retirement": None}
    deployment = retirement.deployment
    return {
        "analysis": analysis,
        "retirement": retirement,
        "icon": ICONS[AnalysisRetirement.State(retirement.state)],
        "standing": analysis_retirement_status(retirement),
        "progress": progress(retirement),
        "has_failed": deployment is not None and deployment.state == Deployment.State.FAILED,
    }
