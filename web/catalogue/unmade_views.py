"""Page for administrators about an analysis whose bucket AWS has not made: retry, another bucket, or remove it."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from control_plane.access.groups.models import Analysis
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.research.catalogue.unmade import is_unmade, remove_analysis, rename_bucket, try_again
from web.catalogue.deciding_views import for_administrators

ACTIONS = ("try-again", "rename", "remove")


@require_http_methods(["GET", "POST"])
@for_administrators
def bucket(request: HttpRequest, slug: str) -> HttpResponse:
    """Show why the bucket was not made and what can be done; each action is confirmed on this page."""
    analysis = get_object_or_404(Analysis.objects.select_related("stack"), slug=slug)
    error, deed = "", request.POST.get("deed", "")
    if request.method == "POST" and deed in ACTIONS:
        try:
            return _done(request, analysis, deed)
        except Refused as refusal:
            error = str(refusal)
    context: dict[str, Any] = {
        "analysis": analysis,
        "can_change": is_unmade(analysis),
        "error": error,
        "typed": request.POST.get("bucket", ""),
    }
    return render(request, "catalogue/bucket.html", context, status=409 if error else 200)


def _done(request: HttpRequest, analysis: Analysis, deed: str) -> HttpResponse:
    """Carry out the action, say what was started, and redirect. Raises Refused."""
    actor = Actor.of_request(request)
    if deed == "remove":
        remove_analysis(analysis=analysis, confirmation=request.POST.get("slug", ""), actor=actor)
        messages.success(request, f"{analysis.name} is removed.")
        return redirect("catalogue:index")
    if deed == "rename":
        started = rename_bucket(analysis=analysis, bucket=request.POST.get("bucket", ""), actor=actor)
    else:
        started = try_again(analysis=analysis, actor=actor)
    messages.success(request, f"AWS is asked to make the bucket; deployment {started.pk} brings it.")
    return redirect("catalogue:analysis", analysis.slug)
