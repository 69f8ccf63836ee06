"""Page “Use from your own computer”: access to AWS's programs, one page for each group."""

from pathlib import Path

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from control_plane.access.computers.access import own_membership
from control_plane.access.computers.commands import HELPER, Commands, Setup, as_powershell, as_profile, as_shell
from control_plane.access.computers.key_reveal import reveal_key
from control_plane.access.groups.models import AccessState, Grant, Group, Membership
from control_plane.access.groups.permissions import may_decide
from control_plane.access.groups.services.credentials import SESSION_SECONDS, member_credentials
from control_plane.access.groups.services.keys import OldKey, end_overlap, rotate_key
from control_plane.access.keys.forms import OldKeyForm, OverlapForm
from control_plane.accounts.models import User
from control_plane.accounts.services import computers
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.refusals import NotYours
from control_plane.base.config import config
from control_plane.base.view_refusals import show_refusal_on
from web.credentials.key_status import key_status

HELPER_FILE = Path(__file__).resolve().parent / "helper" / HELPER


@require_GET
@login_required
@never_cache
def page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how to use the group's files from one's own computer; for htmx, only the status of one's key."""
    user = _person(request)
    membership = own_membership(user, slug)
    context = {
        "group": membership.group,
        "membership": membership,
        "key": key_status(membership),
        "overlap_form": OverlapForm(),
    }
    if request.headers.get("HX-Request"):
        return render(request, "credentials/_key.html", context)
    setup = _setup(membership.group)
    grants = list(Grant.objects.wanted().filter(group=membership.group).select_related("analysis").order_by("analysis__name"))
    chosen = next((grant for grant in grants if grant.analysis.slug == request.GET.get("analysis")), grants[0] if grants else None)
    return render(
        request,
        "credentials/page.html",
        context
        | {
            "is_ready": membership.access_state == AccessState.ACTIVE,
            "setup": setup,
            "grants": grants,
            "chosen": chosen,
            "commands": Commands.for_grant(setup, chosen) if chosen else None,
            "computers": computers.computers(user),
            "minutes": SESSION_SECONDS // 60,
        },
    )


@require_POST
@login_required
@never_cache
@show_refusal_on("credentials:page", "slug")
@sensitive_variables("given")
def session(request: HttpRequest, slug: str) -> HttpResponse:
    """Show short-lived credentials, once."""
    user = _person(request)
    group = own_membership(user, slug).group
    given = member_credentials(group=group, user=user, actor=Actor.of_request(request))
    setup = _setup(group)
    context = {
        "group": group,
        "until": given.expiration,
        "shell": as_shell(given, setup),
        "powershell": as_powershell(given, setup),
        "profile": as_profile(given, setup, f"{setup.profile}-now"),
        "profile_name": f"{setup.profile}-now",
    }
    return render(request, "credentials/session.html", context)


@require_POST
@login_required
@never_cache
def reveal(request: HttpRequest, slug: str) -> HttpResponse:
    """Show one's own key, once, after the password was entered again."""
    own_membership(_person(request), slug)
    return _reveal(request, slug)  # type: ignore[no-any-return]


@reauthentication_required  # type: ignore[untyped-decorator]
@never_cache
@show_refusal_on("credentials:page", "slug")
@sensitive_variables("key", "context")
def _reveal(request: HttpRequest, slug: str) -> HttpResponse:
    membership = own_membership(_person(request), slug)
    key = reveal_key(membership, Actor.of_request(request))
    setup = _setup(membership.group)
    name = f"{setup.profile}-key"
    context = {
        "group": membership.group,
        "profile": as_profile(key, setup, name),
        "profile_name": name,
        "key_id": key.access_key_id,
    }
    return render(request, "credentials/key.html", context)


@require_POST
@login_required
@never_cache
@show_refusal_on("credentials:page", "slug")
def rotate(request: HttpRequest, slug: str) -> HttpResponse:
    """Replace one's own key; the old one works on for the chosen time."""
    user = _person(request)
    return _rotate(request, own_membership(user, slug), back=reverse("credentials:page", args=(slug,)))


@require_POST
@login_required
@never_cache
@show_refusal_on("credentials:page", "slug")
def old_key(request: HttpRequest, slug: str) -> HttpResponse:
    """Deactivate, reactivate or remove one's own old key."""
    membership, form = own_membership(_person(request), slug), OldKeyForm(request.POST)
    group = membership.group
    if not form.is_valid():
        messages.error(request, "Choose one of what the page offers. Nothing was changed.")
        return redirect("credentials:page", slug=slug)
    wish = form.cleaned_data["wish"]
    end_overlap(group=group, user=membership.user, actor=Actor.of_request(request), wish=wish, overlap=form.cleaned_data["overlap"])
    doing = {OldKey.REMOVE: "removed", OldKey.STOP: "made inactive", OldKey.BRING_BACK: "brought back"}[wish]
    messages.success(request, f"Your old key is being {doing}.")
    return redirect("credentials:page", slug=slug)


@require_POST
@login_required
@never_cache
@show_refusal_on("group", "slug")
def rotate_for(request: HttpRequest, slug: str, username: str) -> HttpResponse:
    """Replace a member's key, for the group's managers and administrators, who name the member by AWS username."""
    membership = (
        Membership.objects.wanted().select_related("group__stack", "user").filter(group__slug=slug, username=username).first()
    )
    if membership is None or not may_decide(Actor.of_request(request), membership.group):
        raise NotYours("There is no such member of a group that you manage. Nothing was changed.")
    return _rotate(request, membership, back=membership.group.get_absolute_url())


@require_POST
@login_required
@never_cache
def sign_out(request: HttpRequest, slug: str, computer: int) -> HttpResponse:
    """Sign out one of one's own computers."""
    gone = computers.sign_out(computer, user=_person(request), actor=Actor.of_request(request))
    messages.success(request, f"{gone.name} is signed out. Sessions that it holds end within an hour.")
    return redirect("credentials:page", slug=slug)


@require_GET
def helper(request: HttpRequest) -> FileResponse:
    """Send the helper program. It holds no secret, so a computer can fetch it before it is signed in."""
    return FileResponse(HELPER_FILE.open("rb"), as_attachment=True, filename=HELPER, content_type="text/x-python; charset=utf-8")


def _rotate(request: HttpRequest, membership: Membership, *, back: str) -> HttpResponse:
    form = OverlapForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose one of the times that the page offers. Nothing was changed.")
        return redirect(back)
    overlap = form.cleaned_data["overlap"]
    rotate_key(group=membership.group, user=membership.user, actor=Actor.of_request(request), overlap=overlap)
    old = f"The old one works for another {overlap.days} days" if overlap else "The old one ends with that"
    messages.success(request, f"A new key for {membership.user.email} is being made. {old}.")
    return redirect(back)


def _setup(group: Group) -> Setup:
    return Setup(group, f"{config().site_url.rstrip('/')}{reverse('credentials:helper')}")


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise TypeError("The view lets in only people who are signed in.")
    return request.user
