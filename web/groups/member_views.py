"""Page of one member of a group, for those who decide about them: end date, access method, and moving to another group."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from control_plane.access.groups.models import Access, Group
from control_plane.access.groups.overview import membership_views
from control_plane.access.groups.permissions import managed_groups
from control_plane.access.groups.services.access_method import change_access
from control_plane.access.groups.services.expiry import last_moment, set_end
from control_plane.access.groups.services.transfers import move_member
from control_plane.accounts.permissions import is_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.view_refusals import show_refusal_on
from web.groups.access import managed_group, member_of, person
from web.groups.forms import AccessForm, EndForm, MoveForm

MAX_OFFERED = 100


@require_GET
@login_required
def member(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show the member's access, since when and until when, and the possible changes."""
    group = managed_group(request, slug)
    membership = member_of(group, pk)
    place = next(iter(membership_views(group.memberships.filter(pk=pk))), None)
    others = _other_groups(request, group)
    context = {
        "group": group,
        "membership": membership,
        "place": place,
        "others": others[:MAX_OFFERED],
        "accesses": Access.choices,
        "other_access": next(access for access in Access if access != membership.access),
        "may_have_key": group.allows_keys or is_administrator(request.user),
        "ends_on": timezone.localtime(membership.ends_at).date() if membership.ends_at else None,
        "today": timezone.localdate(),
    }
    return render(request, "groups/member.html", context)


@require_POST
@login_required
@show_refusal_on("member", "slug", "pk")
def change_end(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Set or remove the day on which the membership ends."""
    group, form = managed_group(request, slug), EndForm(request.POST)
    membership = member_of(group, pk)
    if not form.is_valid():
        messages.error(request, "That is not a day. Nothing was changed; write it as 2027-06-30.")
        return redirect("member", group.slug, pk)
    day = form.cleaned_data["ends_on"]
    ends_at = last_moment(day) if day else None
    set_end(group=group, user=membership.user, ends_at=ends_at, actor=Actor.of_request(request))
    until = f"ends after {day:%-d %B %Y}" if day else "does not end by itself"
    messages.success(request, f"{membership.user.email}’s access to {group.name} {until}.")
    return redirect("member", group.slug, pk)


@require_POST
@login_required
@show_refusal_on("member", "slug", "pk")
def switch_access(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change the member's access method: an access key, or short-lived credentials only."""
    group, form = managed_group(request, slug), AccessForm(request.POST)
    membership = member_of(group, pk)
    if not form.is_valid():
        messages.error(request, "Choose how the member is to get in. Nothing was changed.")
        return redirect("member", group.slug, pk)
    access = Access(form.cleaned_data["access"])
    change_access(group=group, user=membership.user, access=access, actor=Actor.of_request(request))
    now = "is being made an access key" if access == Access.KEYS else "gets in without a key; the key is being removed"
    messages.success(request, f"{membership.user.email} {now}.")
    return redirect("member", group.slug, pk)


@require_POST
@login_required
@show_refusal_on("member", "slug", "pk")
def move(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Give the person access to another group, and end this one once that is in force."""
    group, form = managed_group(request, slug), MoveForm(request.POST)
    membership = member_of(group, pk)
    target = _other_groups(request, group).filter(slug=form.cleaned_data["to"]).first() if form.is_valid() else None
    if target is None:
        messages.error(request, "You manage no other group of that name. Nothing was changed; choose one from the list.")
        return redirect("member", group.slug, pk)
    access = form.cleaned_data["access"]
    move_member(source=group, target=target, user=membership.user, access=access, actor=Actor.of_request(request))
    messages.success(
        request,
        f"{membership.user.email} is being added to {target.name}; the access to {group.name} ends once that is active.",
    )
    return redirect(group)


def _other_groups(request: HttpRequest, group: Group) -> QuerySet[Group]:
    mine = Group.objects.all() if is_administrator(request.user) else managed_groups(person(request))
    return mine.filter(retired_at__isnull=True).exclude(pk=group.pk)
