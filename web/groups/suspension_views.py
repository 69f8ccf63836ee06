"""Suspension of a member or a whole group from the group's page, and lifting it."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from control_plane.access.groups.services import suspension
from control_plane.base.audit.actors import Actor
from control_plane.base.view_refusals import show_refusal_on
from web.groups.access import managed_group, member_of, visible_group

LIFTED = "it works again once AWS has lifted it, in about a minute"


@require_POST
@login_required
@show_refusal_on("member", "slug", "pk")
def suspend_member(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Deny everything to a member, or lift that: `wish` says which."""
    group = managed_group(request, slug)
    membership, is_resumed = member_of(group, pk), request.POST.get("wish") == "resume"
    change = suspension.resume_members if is_resumed else suspension.suspend_members
    change(group=group, users=[membership.user], actor=Actor.of_request(request))
    what = f"is not suspended any more: {LIFTED}" if is_resumed else "is suspended: AWS denies everything within seconds"
    messages.success(request, f"{membership.user.email}’s access to {group.name} {what}.")
    return redirect("member", group.slug, pk)


@require_POST
@login_required
@show_refusal_on("group", "slug")
def suspend_group(request: HttpRequest, slug: str) -> HttpResponse:
    """Deny everything to everybody in the group, or lift that. Administrators decide."""
    group, _ = visible_group(request, slug)
    is_resumed = request.POST.get("wish") == "resume"
    change = suspension.resume_group if is_resumed else suspension.suspend_group
    change(group=group, actor=Actor.of_request(request))
    what = f"is not suspended any more: {LIFTED}" if is_resumed else "is suspended: AWS denies everything within seconds"
    messages.success(request, f"{group.name} {what}.")
    return redirect(group)
