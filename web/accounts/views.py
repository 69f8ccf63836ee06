"""Pages of a person's own account: overview and settings."""

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

from control_plane.access.groups.models import Membership
from control_plane.access.groups.overview import access_of
from control_plane.access.people import departures, sign_outs
from control_plane.accounts.models import User
from control_plane.accounts.second_factors import has_second_factor, is_required
from control_plane.accounts.services import addresses, computers, profile, requested_mail, sessions
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.base.request_input import read_number
from web.accounts.forms import DeletionForm, NameForm
from web.accounts.password_forms import ReplaceKeysForm

MAX_LISTED = 50


@require_http_methods(["GET", "POST"])
@login_required
def profile_page(request: HttpRequest) -> HttpResponse:
    """Show the account at a glance; a POST changes the person's name."""
    user = _person(request)
    form = NameForm(request.POST or None, initial={"name": user.name})
    if request.method == "POST" and form.is_valid():
        try:
            profile.rename(user=user, name=form.cleaned_data["name"], actor=Actor.of_request(request))
        except Refused as error:
            form.add_error("name", str(error))
        else:
            messages.success(request, "Your name is changed.")
            return redirect("profile")
    context = {
        "form": form,
        "kinds": set(Authenticator.objects.filter(user=user).values_list("type", flat=True)),
        "has_second_factor": has_second_factor(user),
        "second_factor_required": is_required(user),
        "suspended": [membership for membership in access_of([user])[user.pk].memberships if membership.is_suspended],
        "sessions": len(sessions.open_sessions(user)),
        "computers": len(computers.computers(user)),
        "providers": get_provider_adapter(request).list_providers(request),
        "connected": SocialAccount.objects.filter(user=user).count(),
    }
    return render(request, "account/profile.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@login_required
def sessions_page(request: HttpRequest) -> HttpResponse:
    """Show the browsers and computers that are signed in; a POST signs out everywhere else. Replaces allauth's page."""
    user, here = _person(request), request.session.session_key or ""
    form = ReplaceKeysForm(request.POST if request.method == "POST" else None, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            ended = sign_outs.sign_out_everywhere(
                user=user, session_key=here, actor=Actor.of_request(request), replace_keys=form.wants_new_keys
            )
        except Refused as refusal:
            messages.error(request, str(refusal))
        else:
            _tell_signed_out(request, ended)
            get_adapter(request).send_notification_mail("account/email/signed_out", user, {"signed_out": ended})
        return redirect("account_sessions")
    context = {
        "sessions": sessions.open_sessions(user),
        "here": here,
        "computers": computers.computers(user),
        "form": form,
    }
    return render(request, "usersessions/usersession_list.html", context)


@require_POST
@login_required
def end_computer(request: HttpRequest, computer_id: int) -> HttpResponse:
    """Sign out of one computer."""
    gone = computers.sign_out(computer_id, user=_person(request), actor=Actor.of_request(request))
    messages.success(request, f"{gone.name} is signed out. AWS sessions that it holds end within an hour.")
    return redirect("account_sessions")


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
    """Show what the link in the e-mail will change; a POST changes it."""
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
    except Refused as error:
        return render(request, "account/change_address.html", {"refusal": str(error)}, status=422)
    return render(request, "account/change_address.html", {"new": new})


@require_GET
def asked_mail_state(request: HttpRequest) -> HttpResponse:
    """Show the progress of the e-mail that was requested in this browser: the part of its page that changes."""
    return render(request, "account/_asked_mail.html", {"mail": requested_mail.last_requested(request)})


@require_POST
def send_mail_again(request: HttpRequest) -> HttpResponse:
    """Retry sending the e-mail that was requested in this browser."""
    mail = requested_mail.last_requested(request)
    if mail is None:
        return redirect("account_login")
    if refusal := requested_mail.send_again(request, mail):
        messages.error(request, refusal)
    return redirect(mail.page)


@require_http_methods(["GET", "POST"])
@login_required
@reauthentication_required(allow_get=True, app="allauth.account")
def delete(request: HttpRequest) -> HttpResponse:
    """Show what deleting the account does; a POST with the typed address and a recent password deletes it."""
    user = _person(request)
    form = DeletionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            actor = Actor.of_request(request)
            deployments = departures.ask_deletion(user=user, typed_email=form.cleaned_data["typed_email"], actor=actor)
        except Refused as error:
            form.add_error("typed_email", str(error))
        else:
            logout(request)
            departures.erase_departed()
            return redirect(f"{request.path_info.removesuffix('delete/')}deleted/?groups={len(deployments)}")
    groups = Membership.objects.wanted().filter(user=user).select_related("group")[:MAX_LISTED]
    return render(request, "account/delete.html", {"form": form, "memberships": groups}, status=422 if form.errors else 200)


@require_GET
def deleted(request: HttpRequest) -> HttpResponse:
    """Show what was deleted, to a person who has no account any more."""
    return render(request, "account/deleted.html", {"groups": read_number(request.GET.get("groups", "")) or 0})


def _tell_signed_out(request: HttpRequest, ended: sign_outs.SignedOut) -> None:
    messages.success(request, "You are signed out everywhere else. Open AWS sessions are being denied.")
    if ended.keys:
        messages.success(request, f"A new access key is being made: {', '.join(ended.keys)}.")
    for refusal in ended.refusals:
        messages.warning(request, f"An access key was not replaced. {refusal}")
    if ended.failed:
        messages.warning(
            request,
            f"AWS sessions that could not be ended at once (they end by themselves within an hour): {', '.join(ended.failed)}.",
        )


def _person(request: HttpRequest) -> User:
    user = request.user
    assert isinstance(user, User)  # noqa: S101 (the decorator has seen to it)
    return user
