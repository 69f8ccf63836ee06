"""Pages of a group's access review, for those who decide about the group: what AWS holds, checking now, and sign-off."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from control_plane.access.groups.models import Group
from control_plane.access.review import listing
from control_plane.access.review.models import Scan
from control_plane.access.review.pages import MAX_FINDINGS, csv_response, lines_context
from control_plane.access.review.schedule import request_scan
from control_plane.access.review.sign_off import reason_not_signable, sign_off, sign_off_status
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.base.view_refusals import show_refusal_on
from web.groups.access import managed_group
from web.groups.review_forms import SignForm

MAX_SIGNED = 12


@require_safe
@login_required
def review(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who can reach what in the group, the differences, and the sign-offs."""
    group = managed_group(request, slug)
    history = list(group.sign_offs.defer("lines")[:MAX_SIGNED])
    context = {"group": group, "scan": _scan_of(group), "review": sign_off_status(group), "history": history}
    return render(request, "review/group.html", lines_context(request, group) | context)


@require_safe
@login_required
def as_csv(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Send the review as a CSV file."""
    group = managed_group(request, slug)
    return csv_response(request, f"access-review-{group.slug}-{timezone.now():%Y-%m-%d}", group)


@require_POST
@login_required
@show_refusal_on("group_review", "slug")
def look(request: HttpRequest, slug: str) -> HttpResponse:
    """Request that a worker asks AWS now."""
    group = managed_group(request, slug)
    request_scan(group, actor=Actor.of_request(request))
    messages.success(request, "AWS is being asked. Reload this page in a moment.")
    return redirect("group_review", slug)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def sign(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what is signed; a POST signs it."""
    group = managed_group(request, slug)
    seen = _scan_of(group)
    form = SignForm(request.POST or None, initial={"looked_at": seen.finished_at.isoformat() if seen and seen.finished_at else ""})
    if request.method == "POST":
        if form.is_valid():
            try:
                sign_off(group=group, actor=Actor.of_request(request), **form.cleaned_data)
            except Refused as refusal:
                messages.error(request, str(refusal))
                return redirect("group_review_sign", slug)
            messages.success(request, f"You have signed who can reach what in {group.name}.")
            return redirect("group_review", slug)
        messages.error(request, "Open the page again, read it, then sign. Nothing was signed.")
    differing = list(listing.review_lines(group=group, only_differences=True)[:MAX_FINDINGS])
    context = {
        "group": group,
        "scan": seen,
        "hindrance": reason_not_signable(group, seen),
        "counts": listing.counts(group),
        "findings": list(listing.findings(group)[:MAX_FINDINGS]),
        "differing": listing.review_rows(differing, "person"),
        "form": form,
    }
    return render(request, "review/sign.html", context)


def _scan_of(group: Group) -> Scan | None:
    return Scan.objects.filter(group=group).first()
