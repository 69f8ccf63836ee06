"""Pages of deployments for administrators: activity on AWS, and problems."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.accounts.permissions import administrator_required
from control_plane.base.audit.actors import Actor
from control_plane.base.request_input import read_number
from control_plane.base.view_refusals import show_refusal_on
from control_plane.deployments import approvals, cancelling, requests
from control_plane.deployments.covered_changes import covered_by, headline
from control_plane.deployments.lockout_words import describe_unchanged
from control_plane.deployments.models import Change, Deployment, LogLine
from control_plane.deployments.progress import progress_of
from control_plane.deployments.stack_status import left_behind
from web.deployments.plan_table import shown_plan

PER_PAGE = 25
# Log lines that a page shows at first, the newest; also the most that one poll adds.
MAX_LINES = 1000
# The stacks that a confirmation names; the rest is told as a number.
MAX_NAMED = 50
# The longest reason that is kept, in characters.
MAX_REASON_CHARACTERS = 400

for_administrators = administrator_required("Deployments are shown to administrators. Your own groups are on your home page.")


@require_GET
@for_administrators
def deployment_list(request: HttpRequest) -> HttpResponse:
    """Show failed deployments that nothing has mended, then those under way, then the rest; filtered by the address."""
    filters = {name: request.GET.get(name, "").strip() for name in ("group", "person", "state")}
    deployments = Deployment.objects.select_related("stack").urgent_first()
    if filters["state"] in Deployment.State.values:
        deployments = deployments.filter(state=filters["state"])
    if filters["group"]:
        deployments = deployments.filter(Q(stack__group__slug=filters["group"]) | Q(stack__name=filters["group"]))
    if text := filters["person"]:
        asked = Change.objects.filter(deployment=OuterRef("pk")).filter(Q(actor__icontains=text) | Q(summary__icontains=text))
        deployments = deployments.filter(Exists(asked))
    page = Paginator(deployments.prefetch_related("changes"), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "filters": filters,
        "is_filtered": any(filters.values()),
        "states": Deployment.State.choices,
        "left_behind": left_behind().count(),
    }
    return render(request, "deployments/list.html", context)


@require_GET
@for_administrators
def deployment_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one deployment: its progress, its people, its changes and its log."""
    deployment = _find(pk)
    lines = list(deployment.log.order_by("-number")[:MAX_LINES])[::-1]
    context = _status(deployment, lines, after=0) | _parts(deployment, Actor.of_request(request))
    return render(request, "deployments/detail.html", context)


@require_GET
@for_administrators
def deployment_live(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what the page does not show yet: the present status, and the log lines after the number in the address.

    Buttons, plan and changes are sent only when they differ from what the page says it has seen, so that what somebody is
    reading or typing there stays.
    """
    deployment = _find(pk)
    after = read_number(request.GET.get("after", "")) or 0
    context = _status(deployment, list(deployment.log.filter(number__gt=after)[:MAX_LINES]), after=after)
    if request.GET.get("seen") != context["seen"]:
        context |= _parts(deployment, Actor.of_request(request)) | {"is_new": True}
    return render(request, "deployments/_live.html", context)


@require_POST
@for_administrators
@show_refusal_on("deployments:detail", "pk")
def deployment_retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Deploy the stack again, after whatever stopped it was corrected."""
    deployment = _find(pk)
    successor = requests.deploy_again(deployment, actor=Actor.of_request(request))
    messages.success(request, f"Deploying {deployment.stack.title} again has started.")
    return redirect(successor)


@require_POST
@for_administrators
@show_refusal_on("deployments:detail", "pk")
def deployment_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel the deployment: at once while it waits, as soon as AWS can take it back while it runs."""
    deployment = cancelling.cancel(_find(pk), actor=Actor.of_request(request))
    waits = "It ends as soon as AWS can take it back."
    messages.success(request, waits if deployment.is_open else f"It is cancelled. {deployment.advice}")
    return redirect(deployment)


@require_POST
@for_administrators
@show_refusal_on("deployments:detail", "pk")
def deployment_approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve the deployment, if it still is what the page showed."""
    generation = read_number(request.POST.get("generation", "")) or 0
    deployment = approvals.approve(_find(pk), actor=Actor.of_request(request), generation=generation)
    messages.success(request, "Approved: it goes to AWS with the next free worker.")
    return redirect(deployment)


@require_POST
@for_administrators
@show_refusal_on("deployments:detail", "pk")
def deployment_reject(request: HttpRequest, pk: int) -> HttpResponse:
    """Reject the deployment: it ends."""
    reason = " ".join(request.POST.get("reason", "").split())[:MAX_REASON_CHARACTERS]
    deployment = approvals.reject(_find(pk), actor=Actor.of_request(request), reason=reason)
    messages.success(request, f"Refused. {deployment.advice}")
    return redirect(deployment)


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
def retry_failed(request: HttpRequest) -> HttpResponse:
    """Show which stacks would be deployed again; a POST deploys them."""
    if request.method == "POST":
        started = requests.retry_all(actor=Actor.of_request(request))
        if not started:
            messages.info(request, "Nothing was left to deploy again.")
        else:
            messages.success(request, f"Deploying again has started for {len(started)} stack{'s' if len(started) > 1 else ''}.")
        return redirect("deployments:list")
    stacks = left_behind()
    count = stacks.count()
    context = {"count": count, "stacks": stacks[:MAX_NAMED], "more": max(0, count - MAX_NAMED)}
    return render(request, "deployments/retry_failed.html", context)


def _find(pk: int) -> Deployment:
    return get_object_or_404(Deployment.objects.select_related("stack", "superseded_by"), pk=pk)


def _status(deployment: Deployment, lines: list[LogLine], *, after: int) -> dict[str, Any]:
    """Return the context that changes from second to second. `seen` names the state of everything else."""
    return {
        "deployment": deployment,
        "progress": progress_of(deployment),
        "lines": lines,
        "after": lines[-1].number if lines else after,
        "seen": _seen(deployment),
        "unchanged": describe_unchanged(deployment.stack) if deployment.state in Deployment.WAITING else "",
    }


def _seen(deployment: Deployment) -> str:
    # The lockout acts while a deployment waits, and what is said beside the buttons changes with it.
    denied = deployment.stack.denied_generation == deployment.generation
    facts = (deployment.plan, deployment.approved_by, deployment.cancel_requested_at, denied)
    return ".".join([deployment.state, str(deployment.generation), *("1" if fact else "0" for fact in facts)])


def _parts(deployment: Deployment, actor: Actor) -> dict[str, Any]:
    """Return the context that changes only with the deployment's state."""
    waits = deployment.state == Deployment.State.APPROVAL
    return {
        "headline": headline(list(deployment.changes.all()), str(deployment)),
        "covered": covered_by(deployment),
        "plan": shown_plan(deployment.plan) if deployment.plan else None,
        "may_decide": waits and approvals.may_decide(deployment, actor),
        "can_retry": deployment.state in (Deployment.State.FAILED, Deployment.State.CANCELLED)
        and not deployment.stack.is_up_to_date
        and not deployment.stack.deployments.open().exists(),
    }
