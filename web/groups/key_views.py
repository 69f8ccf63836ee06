"""Pages of a group's access keys, for those who decide about the group: age, last use, and replacing them."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from control_plane.access.groups.services.keys import OldKey, end_overlap, remove_old_keys, rotate_group_keys, rotate_key
from control_plane.access.keys.forms import OldKeyForm, OverlapForm
from control_plane.access.keys.listing import group_key_summary, held_keys, key_holders, unused_keys
from control_plane.base.audit.actors import Actor
from control_plane.base.view_refusals import show_refusal_on
from web.groups.access import managed_group, member_of

KEYS_PER_PAGE = 50
# Keys that are named in a list of those unused, or of those left out; the table has them all.
MAX_NAMED = 20
NO_CHOICE = "Choose one of the times that the page offers. Nothing was changed."


@require_GET
@login_required
def keys(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who holds a key, its age and last use, and the state of the previous key."""
    group = managed_group(request, slug)
    page = Paginator(key_holders(group), KEYS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "group": group,
        "page": page,
        "keys": held_keys(group, list(page.object_list)),
        "summary": group_key_summary(group),
        "unused": unused_keys(group=group)[:MAX_NAMED],
        "overlap_form": OverlapForm(),
    }
    return render(request, "groups/keys.html", context)


@require_POST
@login_required
@show_refusal_on("group_keys", "slug")
def rotate_all(request: HttpRequest, slug: str) -> HttpResponse:
    """Replace all keys of the group, in one deployment."""
    group, form = managed_group(request, slug), OverlapForm(request.POST)
    if not form.is_valid():
        messages.error(request, NO_CHOICE)
        return redirect("group_keys", slug)
    begun = rotate_group_keys(group=group, actor=Actor.of_request(request), overlap=form.cleaned_data["overlap"])
    are_made = "1 new key is" if begun.replaced == 1 else f"{begun.replaced} new keys are"
    messages.success(request, f"{are_made} being made, in one deployment. Their holders are told by e-mail.")
    if left_out := list(begun.left_out.values()):
        more = f" And {len(left_out) - MAX_NAMED} more." if len(left_out) > MAX_NAMED else ""
        messages.warning(request, f"{len(left_out)} left out. {' '.join(left_out[:MAX_NAMED])}{more}")
    return redirect("group_keys", slug)


@require_POST
@login_required
@show_refusal_on("group_keys", "slug")
def remove_old(request: HttpRequest, slug: str) -> HttpResponse:
    """Remove all old keys of the group, in one deployment."""
    group = managed_group(request, slug)
    _, removed = remove_old_keys(group=group, actor=Actor.of_request(request))
    messages.success(request, "1 old key is being removed." if removed == 1 else f"{removed} old keys are being removed.")
    return redirect("group_keys", slug)


@require_POST
@login_required
@show_refusal_on("group_keys", "slug")
def rotate_one(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Replace one member's key."""
    group, form = managed_group(request, slug), OverlapForm(request.POST)
    user = member_of(group, pk).user
    if not form.is_valid():
        messages.error(request, NO_CHOICE)
        return redirect("group_keys", slug)
    rotate_key(group=group, user=user, actor=Actor.of_request(request), overlap=form.cleaned_data["overlap"])
    messages.success(request, f"A new key for {user.email} is being made. They are told by e-mail.")
    return redirect("group_keys", slug)


@require_POST
@login_required
@show_refusal_on("group_keys", "slug")
def old_key(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Deactivate, reactivate or remove a member's old key."""
    group, form = managed_group(request, slug), OldKeyForm(request.POST)
    user = member_of(group, pk).user
    if not form.is_valid():
        messages.error(request, NO_CHOICE)
        return redirect("group_keys", slug)
    wish = form.cleaned_data["wish"]
    end_overlap(group=group, user=user, actor=Actor.of_request(request), wish=wish, overlap=form.cleaned_data["overlap"])
    doing = {OldKey.REMOVE: "removed", OldKey.STOP: "made inactive", OldKey.BRING_BACK: "brought back"}[wish]
    messages.success(request, f"{user.email}’s old key is being {doing}.")
    return redirect("group_keys", slug)
