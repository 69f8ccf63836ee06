"""Pages of each stack on AWS for administrators: whether it is in step and as deployed, and changes that others made."""

from collections.abc import Callable

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from control_plane.access.groups.overview import latest_deployments
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.deployments import requests
from control_plane.deployments.models import Deployment, Stack
from control_plane.deployments.stack_status import drift_icon, status_of, worst_first
from web.deployments.views import for_administrators

PER_PAGE = 25
# The newest deployments that a stack's page shows; the list has the rest.
MAX_NEWEST = 10


@require_GET
@for_administrators
def stack_list(request: HttpRequest) -> HttpResponse:
    """Show the stacks, first those that others changed or that are out of step."""
    text = request.GET.get("q", "").strip()
    stacks = worst_first()
    if text:
        stacks = stacks.filter(Q(name__icontains=text) | Q(title__icontains=text))
    page = Paginator(stacks, PER_PAGE).get_page(request.GET.get("page"))
    latest = latest_deployments(stack.pk for stack in page.object_list)
    rows = [(stack, drift_icon(stack.drift_state), latest.get(stack.pk)) for stack in page.object_list]
    return render(request, "deployments/stacks.html", {"page": page, "rows": rows, "text": text})


@require_GET
@for_administrators
def stack_detail(request: HttpRequest, name: str) -> HttpResponse:
    """Show one stack: its status on AWS, and its newest deployments."""
    stack = get_object_or_404(Stack.objects.select_related("group"), name=name)
    context = {
        "stack": stack,
        "on_aws": status_of(stack),
        "deployments": stack.deployments.select_related("stack").prefetch_related("changes")[:MAX_NEWEST],
    }
    return render(request, "deployments/stack.html", context)


@require_GET
@for_administrators
def stack_live(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the stack's present status, as a replacement for that part of a page."""
    stack = get_object_or_404(Stack, pk=pk)
    return render(request, "deployments/_on_aws.html", {"on_aws": status_of(stack), "back": request.GET.get("back", "")})


@require_POST
@for_administrators
def stack_check(request: HttpRequest, pk: int) -> HttpResponse:
    """Request that a worker compares AWS with what was deployed."""
    stack = get_object_or_404(Stack.objects.select_related("group"), pk=pk)
    requests.request_check(stack, actor=Actor.of_request(request))
    messages.success(request, "AWS is being compared with what was deployed. The answer shows below by itself.")
    return _back(request, stack)


@require_POST
@for_administrators
def stack_repair(request: HttpRequest, pk: int) -> HttpResponse:
    """Request that AWS is put back to what was deployed."""
    return _deploy(request, pk, requests.request_repair, "Repairing {} has started.")


@require_POST
@for_administrators
def stack_deploy_ours(request: HttpRequest, pk: int) -> HttpResponse:
    """Request that AWS holds what the restored database says, and loses what it holds beyond it."""
    return _deploy(request, pk, requests.deploy_ours, "Deploying what the database says of {} has started.")


def _deploy(request: HttpRequest, pk: int, ask: Callable[..., Deployment], message: str) -> HttpResponse:
    """Request a deployment of the stack and redirect to it; or say why it is refused."""
    stack = get_object_or_404(Stack.objects.select_related("group"), pk=pk)
    try:
        deployment = ask(stack, actor=Actor.of_request(request))
    except Refused as refusal:
        messages.error(request, str(refusal))
        return _back(request, stack)
    messages.success(request, message.format(stack.title))
    return redirect(deployment)


def _back(request: HttpRequest, stack: Stack) -> HttpResponseRedirect:
    """Redirect to the group's page if the request came from there and there is one; else to the stack's own."""
    if request.POST.get("back") == "group" and hasattr(stack, "group"):
        return redirect("group", slug=stack.group.slug)
    return redirect("deployments:stack", name=stack.name)
