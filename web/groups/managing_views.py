"""Actions of a group's managers on its page: join codes, members and managers; also leaving a group."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import add_never_cache_headers
from django.views.decorators.http import require_http_methods, require_POST

from control_plane.access.groups.models import Group, JoinCode
from control_plane.access.groups.permissions import managers
from control_plane.access.groups.services import join_codes, members
from control_plane.access.groups.services.groups import set_allows_keys
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.refusals import NotYours
from control_plane.base.view_refusals import show_refusal_on
from web.groups.access import managed_group, member_of, person, visible_group
from web.groups.forms import CodeForm


@require_POST
@login_required
@show_refusal_on("group", "slug")
def make_code(request: HttpRequest, slug: str) -> HttpResponse:
    """Create a join code and show it, this once."""
    group, form = managed_group(request, slug), CodeForm(request.POST)
    if not form.is_valid():
        problems = [
            f"{form.fields[name].label or name.replace('_', ' ').capitalize()}: {text}"
            for name, texts in form.errors.items()
            for text in texts
        ]
        messages.error(request, f"{' '.join(problems)} Nothing was made.")
        return redirect(group)
    code, text = join_codes.make_join_code(group=group, actor=Actor.of_request(request), **form.cleaned_data)
    return _show(request, group, code, text)


@require_POST
@login_required
@show_refusal_on("group", "slug")
def rotate_code(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Withdraw a code, create another and show it, this once."""
    group = managed_group(request, slug)
    code, text = join_codes.rotate_join_code(code=_code(group, pk), actor=Actor.of_request(request))
    return _show(request, group, code, text)


@require_POST
@login_required
@show_refusal_on("group", "slug")
def withdraw_code(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """End a code at once."""
    group = managed_group(request, slug)
    code = _code(group, pk)
    join_codes.withdraw_join_code(code=code, actor=Actor.of_request(request))
    messages.success(request, f"The code that begins with {code.prefix} does not work any more.")
    return redirect(group)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@show_refusal_on("group", "slug")
def remove(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show what removing a member does; a POST removes them."""
    group = managed_group(request, slug)
    membership = member_of(group, pk)
    if request.method == "POST":
        members.remove_member(group=group, user=membership.user, actor=Actor.of_request(request))
        messages.success(request, f"Taking {membership.user.email}’s access to {group.name} away has started.")
        return redirect(group)
    return render(request, "groups/remove.html", {"group": group, "membership": membership})


@require_POST
@login_required
@show_refusal_on("group", "slug")
def change_manager(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Make a member a manager, or a manager a plain member."""
    group = managed_group(request, slug)
    membership, wanted = member_of(group, pk), request.POST.get("is_manager") == "1"
    members.set_manager(group=group, user=membership.user, is_manager=wanted, actor=Actor.of_request(request))
    now = "manages" if wanted else "does not manage"
    messages.success(request, f"{membership.user.email} {now} {group.name} {'now' if wanted else 'any more'}.")
    return redirect(group)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
@show_refusal_on("group", "slug")
def leave(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what leaving does; a POST ends one's own membership."""
    group, mine = visible_group(request, slug)
    if mine is None:
        raise NotYours("You are not in this group.")
    if request.method == "POST":
        members.leave(group=group, user=person(request), actor=Actor.of_request(request))
        messages.success(request, f"You are leaving {group.name}: your access is being removed. An e-mail says when it has ended.")
        return redirect("home")
    is_last = mine.is_manager and not managers(group).exclude(user=mine.user_id).exists()
    return render(request, "groups/leave.html", {"group": group, "membership": mine, "is_last_manager": is_last})


@require_POST
@login_required
def allow_keys(request: HttpRequest, slug: str) -> HttpResponse:
    """Allow the group's managers to give keys, or stop allowing it. Administrators decide."""
    group, _ = visible_group(request, slug)
    group = set_allows_keys(group=group, allows=request.POST.get("allows") == "1", actor=Actor.of_request(request))
    now = "can give members keys of their own now" if group.allows_keys else "cannot give keys any more; those that there are stay"
    messages.success(request, f"Managers of {group.name} {now}.")
    return redirect(group)


def _code(group: Group, pk: int) -> JoinCode:
    code = group.join_codes.select_related("group").filter(pk=pk).first()
    if code is None:
        raise NotYours("There is no such join code of this group.")
    return code


def _show(request: HttpRequest, group: Group, code: JoinCode, text: str) -> HttpResponse:
    response = render(request, "groups/code.html", {"group": group, "code": code, "text": text})
    add_never_cache_headers(response)
    return response
