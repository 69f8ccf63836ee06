"""Pages of the review of all groups, for administrators: access, sign-offs, removing people, and unmanaged resources."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from control_plane.access.people.removals import preview_removal, remove_people
from control_plane.access.review import listing, unmanaged_decisions
from control_plane.access.review.models import Scan, UnmanagedResource
from control_plane.access.review.pages import csv_response, lines_context
from control_plane.access.review.schedule import request_all_scans
from control_plane.access.review.sign_off import groups_by_sign_off
from control_plane.access.review.unmanaged_decisions import unknown_members
from control_plane.accounts.models import User
from control_plane.accounts.permissions import administrator_required
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.base.view_refusals import show_refusal_on
from control_plane.deployments.models import Deployment

GROUPS_PER_PAGE = 50
# The terminal lists them all.
MAX_UNMANAGED = 50
# The addresses of a larger group are given in the terminal.
MAX_MEMBERS = 200
for_administrators = administrator_required(
    "The review of all groups is for administrators. That of a group you manage is on its page."
)


@require_safe
@for_administrators
def page(request: HttpRequest) -> HttpResponse:
    """Show who can reach what, everywhere."""
    oldest = Scan.objects.filter(group__retired_at=None).order_by("finished_at").first()
    failed = Scan.objects.exclude(error="").count()
    waiting = listing.unmanaged()
    # Stacks that were read are listed among the unmanaged resources.
    newer = listing.newer_stacks().exclude(name__in=waiting.values("name"))
    shown = {
        "oldest": oldest,
        "failed": failed,
        "unmanaged": list(waiting[:MAX_UNMANAGED]),
        "more_unmanaged": max(0, waiting.count() - MAX_UNMANAGED),
        "newer": list(newer[:MAX_UNMANAGED]),
    }
    return render(request, "review/page.html", lines_context(request) | shown)


@require_safe
@for_administrators
def as_csv(request: HttpRequest) -> HttpResponseBase:
    """Send the review as a CSV file."""
    return csv_response(request, f"access-review-{timezone.now():%Y-%m-%d}")


@require_safe
@for_administrators
def signed(request: HttpRequest) -> HttpResponse:
    """Show the state of every group's sign-offs, longest overdue first."""
    shown = Paginator(groups_by_sign_off(), GROUPS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "review/signed.html", {"page": shown, "groups": list(shown.object_list)})


@require_POST
@login_required
def look(request: HttpRequest) -> HttpResponse:
    """Request that AWS is asked about every group."""
    groups = request_all_scans(actor=Actor.of_request(request))
    messages.success(request, f"AWS is being asked about {groups} groups, a few at a time. Reload this page in a while.")
    return redirect("review:page")


@require_http_methods(["GET", "HEAD", "POST"])
@for_administrators
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what the person loses; a POST removes their access in every group."""
    person = get_object_or_404(User, pk=pk, erased_at=None)
    if request.method == "POST":
        try:
            deployments = remove_people(users=[person], actor=Actor.of_request(request))
        except Refused as refusal:
            messages.error(request, str(refusal))
            return redirect("review:remove", pk)
        messages.success(
            request,
            f"{person.email} cannot sign in any more. Their access is being removed, in {len(deployments)} "
            f"deployment{'' if len(deployments) == 1 else 's'}; the review shows it once AWS was checked after that.",
        )
        return redirect("review:page")
    [loss] = preview_removal([person])
    return render(request, "review/remove.html", {"person": person, "loss": loss})


@require_safe
@for_administrators
def unmanaged(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a resource that AWS holds and the database does not know, with the two possible decisions."""
    row = get_object_or_404(listing.unmanaged(), pk=pk)
    held = unknown_members(row)
    context = {
        "row": row,
        "group": unmanaged_decisions.known_group(row),
        "outlook": unmanaged_decisions.preview_take_over(row),
        "members": held[:MAX_MEMBERS],
        "more_members": max(0, len(held) - MAX_MEMBERS),
    }
    return render(request, "review/unmanaged.html", context)


@require_POST
@for_administrators
@show_refusal_on("review:unmanaged", "pk")
def take_over_unmanaged(request: HttpRequest, pk: int) -> HttpResponse:
    """Take over the resource: its group, or its analyses, are managed again."""
    row = get_object_or_404(UnmanagedResource, pk=pk)
    people = {member.username: request.POST.get(f"person-{member.username}", "") for member in unknown_members(row)}
    typed = {"confirmation": request.POST.get("confirmation", ""), "name": request.POST.get("name", "")}
    actor = Actor.of_request(request)
    return _decide(request, row, lambda: unmanaged_decisions.take_over(row, people=people, actor=actor, **typed), "taken over")


@require_POST
@for_administrators
@show_refusal_on("review:unmanaged", "pk")
def remove_unmanaged(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove the resource from AWS."""
    row = get_object_or_404(UnmanagedResource, pk=pk)
    confirmation = request.POST.get("confirmation", "")
    actor = Actor.of_request(request)
    return _decide(request, row, lambda: unmanaged_decisions.remove(row, confirmation=confirmation, actor=actor), "being removed")


def _decide(request: HttpRequest, row: UnmanagedResource, decision: Callable[[], Deployment | None], outcome: str) -> HttpResponse:
    """Carry out a decision and redirect to its deployment; or say why it is refused."""
    deployment = decision()
    messages.success(request, f"{row.name} is {outcome}.")
    return redirect(deployment) if deployment is not None else redirect("review:page")
