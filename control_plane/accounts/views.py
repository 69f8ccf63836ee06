"""A person's own account: what they see of it, and what they may change."""

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import get_adapter as get_provider_adapter
from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from control_plane.accounts.forms import DeletionForm, NameForm
from control_plane.accounts.models import User
from control_plane.accounts.second_factors import has_second_factor, is_required
from control_plane.accounts.services import addresses, departures, profile, sessions
from control_plane.audit.actors import Actor
from control_plane.groups.errors import GroupsError
from control_plane.groups.models import Membership
from control_plane.groups.overview import access_of
from control_plane.sent import read_number

MOST_LISTED = 50


@require_http_methods(["GET", "POST"])
@login_required
def profile_page(request: HttpRequest) -> HttpResponse:
    """The account at a glance; a name that is posted becomes the person's."""
    user = _person(request)
    form = NameForm(request.POST or None, initial={"name": user.name})
    if request.method == "POST" and form.is_valid():
        try:
            profile.rename(user=user, name=form.cleaned_data["name"], actor=Actor.of_request(request))
        except GroupsError as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, "Your name is changed.")
            return redirect("profile")
    context = {
        "form": form,
        "kinds": set(Authenticator.objects.filter(user=user).values_list("type", flat=True)),
        "has_second_factor": has_second_factor(user),
        "second_factor_required": is_required(user),
        "suspended": [place for place in access_of([user])[user.pk].places if place.is_suspended],
        "sessions": len(sessions.open_sessions(user)),
        "providers": get_provider_adapter(request).list_providers(request),
        "connected": SocialAccount.objects.filter(user=user).count(),
    }
    return render(request, "account/profile.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@login_required
def sessions_page(request: HttpRequest) -> HttpResponse:
    """The browsers in which the person is signed in; a post signs out of all others. Stands in for allauth's own page."""
    user, here = _person(request), request.session.session_key or ""
    if request.method == "POST":
        sessions.end_other_sessions(user=user, session_key=here, actor=Actor.of_request(request))
        messages.success(request, "All other browsers are signed out.")
        return redirect("account_sessions")
    return render(request, "usersessions/usersession_list.html", {"sessions": sessions.open_sessions(user), "here": here})


@require_POST
@login_required
def end_session(request: HttpRequest, session_id: int) -> HttpResponse:
    """Sign out of one browser."""
    sessions.end_session(user=_person(request), session_id=session_id, actor=Actor.of_request(request))
    messages.success(request, "That browser is signed out.")
    return redirect("account_sessions")


@require_http_methods(["GET", "POST"])
@login_required
def change_address(request: HttpRequest, token: str) -> HttpResponse:
    """Where the link in the e-mail leads: shows what will change; a post changes it."""
    user = _person(request)
    try:
        new = addresses.read_link_token(user, token)
        if request.method == "POST":
            old, new = addresses.change_address(user=user, token=token, actor=Actor.of_request(request))
            get_adapter(request).send_notification_mail(
                "account/email/email_changed", user, {"from_email": old, "to_email": new}, email=old
            )
            messages.success(request, f"Your address is {new} now. Sign in with it from now on.")
            return redirect("profile")
    except GroupsError as error:
        return render(request, "account/change_address.html", {"refusal": str(error)}, status=422)
    return render(request, "account/change_address.html", {"new": new})


@require_http_methods(["GET", "POST"])
@login_required
@reauthentication_required(allow_get=True, app="allauth.account")
def delete(request: HttpRequest) -> HttpResponse:
    """Says what deleting the account does; a post with the address typed, and the password given just now, does it."""
    user = _person(request)
    form = DeletionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actor = Actor.of_request(request)
            deployments = departures.ask_deletion(user=user, typed_email=form.cleaned_data["typed_email"], actor=actor)
        except GroupsError as error:
            form.add_error("typed_email", str(error))
        else:
            logout(request)
            departures.erase_departed()
            return redirect(f"{request.path_info.removesuffix('delete/')}deleted/?groups={len(deployments)}")
    groups = Membership.objects.wanted().filter(user=user).select_related("group")[:MOST_LISTED]
    return render(request, "account/delete.html", {"form": form, "memberships": groups}, status=422 if form.errors else 200)


@require_GET
def deleted(request: HttpRequest) -> HttpResponse:
    """What was done, to somebody who has no account any more."""
    return render(request, "account/deleted.html", {"groups": read_number(request.GET.get("groups", "")) or 0})


def _person(request: HttpRequest) -> User:
    user = request.user
    assert isinstance(user, User)  # noqa: S101 (the decorator has seen to it)
    return user
