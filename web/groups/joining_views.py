"""Requests to join, and the queue for those who decide about them."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Case, Q, QuerySet, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_GET, require_POST

from control_plane.access.groups.models import DECISION_LINK_SECONDS, DECISION_SALT, Access, JoinRequest, Membership
from control_plane.access.groups.permissions import decidable_requests
from control_plane.access.groups.services import joining
from control_plane.access.groups.slugs import make_slug
from control_plane.accounts.permissions import is_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.refusals import NotYours
from control_plane.base.errors import Refused
from control_plane.base.view_refusals import show_refusal_on
from web.groups.access import go_back, person
from web.groups.forms import ApproveForm, AskForm, DeclineForm
from web.groups.views import render_home

PER_PAGE = 25


@require_POST
@login_required
def ask(request: HttpRequest) -> HttpResponse:
    """Ask to join a group by its code, or for a new group. A refusal is shown on the home page, beside the input."""
    form = AskForm(request.POST)
    if form.is_valid():
        try:
            asked = joining.ask_to_join(
                user=person(request),
                actor=Actor.of_request(request),
                code=form.cleaned_data["code"],
                new_group_name=form.cleaned_data["new_group"],
            )
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, f"You asked to join {asked.place}. Where it stands shows here.")
            return redirect("home")
    return render_home(request, form)


@require_POST
@login_required
@show_refusal_on("home")
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Withdraw one's own request."""
    mine = JoinRequest.objects.filter(user=person(request), pk=pk).first()
    if mine is None:
        raise NotYours("There is no such request of yours.")
    joining.withdraw(mine, actor=Actor.of_request(request))
    messages.success(request, "Your request is withdrawn. You can ask again at any time.")
    return redirect("home")


@require_GET
@login_required
def queue(request: HttpRequest) -> HttpResponse:
    """Show the requests to join, to managers for their groups and to administrators for all: undecided, then newest, first."""
    _refuse_others(request)
    filters = {name: request.GET.get(name, "").strip() for name in ("group", "person", "state")}
    page = Paginator(_filtered_requests(request, filters), PER_PAGE).get_page(request.GET.get("page"))
    for join_request in page.object_list:
        _attach_proposed_slug(join_request)
    context = {
        "page": page,
        "filters": filters,
        "is_filtered": any(filters.values()),
        "states": [(value, label) for value, label in JoinRequest.State.choices if value != JoinRequest.State.UNVERIFIED],
        "accesses": Access.choices,
    }
    return render(request, "groups/requests.html", context)


@require_GET
@login_required
def decision_link(request: HttpRequest, token: str) -> HttpResponse:
    """Show the request that an e-mail's link is about, to be decided once, or why that is not possible."""
    problem, status, join_request = "", 200, None
    try:
        pk = signing.loads(token, salt=DECISION_SALT, max_age=DECISION_LINK_SECONDS)
    except signing.SignatureExpired:
        problem, status = "This link is older than a week and does not work any more. The request may still wait.", 410
    except signing.BadSignature:
        problem, status = "This link is not one that Cohort sent, or a part of it is missing. Nothing was changed.", 404
    else:
        join_request = _find(request, pk)
        if join_request.state == JoinRequest.State.UNVERIFIED:
            problem, status = "The person has not verified their e-mail address yet.", 409
        elif not join_request.is_open:
            by = f" by {join_request.decided_by}" if join_request.decided_by else ""
            problem, status = (
                f"This request was {join_request.get_state_display()} already{by}. There is nothing left to decide.",
                410,
            )
        _attach_proposed_slug(join_request)
    context = {"join_request": join_request, "problem": problem, "accesses": Access.choices, "back": reverse("requests")}
    return render(request, "groups/request_link.html", context, status=status)


@require_POST
@login_required
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve the request: the person gets access."""
    join_request, form = _find(request, pk), ApproveForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose how the person gets in. Nothing was changed.")
        return go_back(request, reverse("requests"))
    try:
        joining.approve(join_request, actor=Actor.of_request(request), **form.cleaned_data)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return go_back(request, reverse("requests"))
    join_request.refresh_from_db()
    if join_request.group:
        words = 'Giving {} access to {} has started. <a class="alert-link" href="{}">Watch it on the group’s page</a>'
        messages.success(
            request, format_html(words, join_request.user.email, join_request.group.name, join_request.group.get_absolute_url())
        )
    return go_back(request, reverse("requests"))


@require_POST
@login_required
def decline(request: HttpRequest, pk: int) -> HttpResponse:
    """Decline the request, with a note for the person."""
    join_request, form = _find(request, pk), DeclineForm(request.POST)
    if not form.is_valid():
        messages.error(request, "The note is too long. Nothing was changed; shorten it.")
        return go_back(request, reverse("requests"))
    try:
        joining.decline(join_request, actor=Actor.of_request(request), note=form.cleaned_data["note"])
    except Refused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"Declined. {join_request.user.email} is told by e-mail.")
    return go_back(request, reverse("requests"))


def _refuse_others(request: HttpRequest) -> None:
    """Raise PermissionDenied unless the person decides about any group."""
    manages_one = Membership.objects.wanted().filter(user=person(request), is_manager=True)
    if not (is_administrator(request.user) or manages_one.exists()):
        raise PermissionDenied("Requests are shown to managers of groups and to administrators. Your own are on your home page.")


def _filtered_requests(request: HttpRequest, filters: dict[str, str]) -> QuerySet[JoinRequest]:
    join_requests = decidable_requests(person(request)).exclude(state=JoinRequest.State.UNVERIFIED)
    if filters["state"] in JoinRequest.State.values:
        join_requests = join_requests.filter(state=filters["state"])
    if slug := filters["group"]:
        join_requests = join_requests.filter(Q(group__slug=slug) | Q(group__isnull=True, requested_name__icontains=slug))
    if text := filters["person"]:
        join_requests = join_requests.filter(Q(user__email__icontains=text) | Q(user__name__icontains=text))
    undecided_first = Case(When(state=JoinRequest.State.WAITING, then=0), default=1)
    return join_requests.select_related("user", "group", "code").order_by(undecided_first, "-pk")


def _find(request: HttpRequest, pk: Any) -> JoinRequest:
    join_request = decidable_requests(person(request)).select_related("user", "group", "code").filter(pk=pk).first()
    if join_request is None:
        raise NotYours("There is no such request, or you may not decide it.")
    return join_request


def _attach_proposed_slug(join_request: JoinRequest) -> None:
    """Attach the slug that the form proposes for a new group."""
    join_request.proposed_slug = make_slug(join_request.requested_name) if join_request.is_for_new_group else ""  # type: ignore[attr-defined]
