"""What AWS is doing, and whether anything is wrong. For administrators."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from control_plane.accounts.permissions import is_administrator
from control_plane.audit.actors import Actor
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import NothingToRetry, deploy_again

PER_PAGE = 25
# The newest lines that a page shows at first, and the most that one look adds.
MOST_LINES = 1000

Arguments = ParamSpec("Arguments")
View = Callable[Concatenate[HttpRequest, Arguments], HttpResponse]


def for_administrators(view: View[Arguments]) -> View[Arguments]:
    """Refuse everybody else: those who are not signed in are asked to, the others are told whom to ask."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Arguments.args, **kwargs: Arguments.kwargs) -> HttpResponse:
        if not is_administrator(request.user):
            raise PermissionDenied("Deployments are shown to administrators. Your own groups are on your home page.")
        return view(request, *args, **kwargs)

    return cast("View[Arguments]", login_required(guarded))


@require_GET
@for_administrators
def deployment_list(request: HttpRequest) -> HttpResponse:
    """Failed ones that nothing has mended first, then what is under way, then the rest; filtered by what the address says."""
    state, text = request.GET.get("state", ""), request.GET.get("q", "").strip()
    deployments = Deployment.objects.select_related("stack").urgent_first()
    if state in Deployment.State.values:
        deployments = deployments.filter(state=state)
    if text:
        deployments = deployments.filter(
            Q(stack__name__icontains=text) | Q(stack__title__icontains=text) | Q(changes__summary__icontains=text)
        ).distinct()
    page = Paginator(deployments.prefetch_related("changes"), PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "state": state, "text": text, "states": Deployment.State.choices}
    return render(request, "deployments/list.html", context)


@require_GET
@for_administrators
def deployment_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One deployment: how far it is, for whom, and its log."""
    deployment = get_object_or_404(Deployment.objects.select_related("stack"), pk=pk)
    lines = list(deployment.log.order_by("-number")[:MOST_LINES])[::-1]
    context = {
        "deployment": deployment,
        "lines": lines,
        "after": lines[-1].number if lines else 0,
        "changes": deployment.changes.all(),
    }
    return render(request, "deployments/detail.html", context)


@require_GET
@for_administrators
def deployment_live(request: HttpRequest, pk: int) -> HttpResponse:
    """What the page does not show yet: the status as it is now, and the lines after the number that it names."""
    deployment = get_object_or_404(Deployment.objects.select_related("stack"), pk=pk)
    text = request.GET.get("after", "0")
    after = int(text) if text.isascii() and text.isdigit() else 0
    lines = list(deployment.log.filter(number__gt=after)[:MOST_LINES])
    context = {
        "deployment": deployment,
        "lines": lines,
        "after": lines[-1].number if lines else after,
        "changes": deployment.changes.all(),
    }
    return render(request, "deployments/_live.html", context)


@require_POST
@for_administrators
def deployment_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Deploy the stack again, after whatever stopped it was corrected."""
    deployment = get_object_or_404(Deployment.objects.select_related("stack"), pk=pk)
    try:
        successor = deploy_again(deployment, actor=Actor.of_request(request))
    except NothingToRetry as refusal:
        messages.error(request, str(refusal))
        return redirect(deployment)
    messages.success(request, f"Deploying {deployment.stack.title} again has started.")
    return redirect(successor)
