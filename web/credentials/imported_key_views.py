"""Actions on the key that a member brought from the predecessor: it is shown beside their own, and can be removed."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from control_plane.access.computers.access import own_membership
from control_plane.access.keys.schedule import adopted_keys, request_adopted_key_removal
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.view_refusals import show_refusal_on


@require_POST
@login_required
@never_cache
@show_refusal_on("credentials:page", "slug")
def remove(request: HttpRequest, slug: str) -> HttpResponse:
    """Remove one's own key from before Cohort."""
    if not isinstance(request.user, User):
        raise TypeError("The view lets in only people who are signed in.")
    membership = own_membership(request.user, slug)
    key = adopted_keys(membership).select_related("membership__group__stack", "membership__user").first()
    if key is None:
        messages.error(request, "You have no key from before Cohort (any more). Nothing was changed.")
        return redirect("credentials:page", slug=slug)
    request_adopted_key_removal(key, actor=Actor.of_request(request))
    messages.success(request, f"Your key {key.access_key_id} is being removed. Programs that use it stop working now.")
    return redirect("credentials:page", slug=slug)
