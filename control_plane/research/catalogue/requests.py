"""Requests for access to an analysis, and the decisions about them."""

from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from control_plane.access.groups.announcements import announce_about_group
from control_plane.access.groups.errors import AlreadyAsked, AlreadyGranted, NotOpen
from control_plane.access.groups.lifecycle import refuse_retired_analyses, refuse_retiring
from control_plane.access.groups.models import Analysis, Grant, Group
from control_plane.access.groups.permissions import manages
from control_plane.access.groups.services.analyses import grant_analysis
from control_plane.accounts.models import User
from control_plane.accounts.permissions import active_administrators, is_administrator, require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.audit.refusals import NotYours
from control_plane.research.catalogue.models import AccessRequest

MAX_REASON_CHARACTERS = 400


def request_analysis(*, group: Group, analysis: Analysis, reason: str, actor: Actor) -> AccessRequest:
    """Request access to the analysis for the group, as a member of it.

    Raises AlreadyGranted, AlreadyAsked, AnalysisRetired, BeingRetired or NotYours.
    """
    user = actor.user
    if user is None or not group.memberships.wanted().filter(user=user).exists():
        raise NotYours("You are not in that group.")
    refuse_retiring(group)
    if Grant.objects.wanted().filter(group=group, analysis=analysis).exists():
        raise AlreadyGranted(f"{group.name} has {analysis.name} already. Nothing was asked for.")
    try:
        with transaction.atomic():
            refuse_retired_analyses([analysis])
            request = AccessRequest.objects.create(
                group=group, analysis=analysis, asked_by=user, reason=" ".join(reason.split())[:MAX_REASON_CHARACTERS]
            )
            record(actor, "analysis.ask", f"{analysis.slug} for {group.slug}", reason=request.reason)
            why = [f"Why: {request.reason}"] if request.reason else []
            announce_about_group(
                group,
                about=f"analysis request {request.pk}",
                recipients=active_administrators().values_list("email", flat=True),
                subject=f"{group.name} asks to use {analysis.name}",
                paragraphs=[f"{user.email} asks that {group.name} may use {analysis.name}.", *why],
                path=reverse("catalogue:requests"),
            )
    except IntegrityError as error:
        raise AlreadyAsked(f"{group.name} has asked for {analysis.name} already; an administrator decides.") from error
    return request


def withdraw(request: AccessRequest, *, actor: Actor) -> None:
    """Withdraw the request. The person who asked, the group's managers and administrators may. Raises NotOpen or NotYours."""
    if not (
        actor.is_operator or actor.user == request.asked_by or manages(actor.user, request.group) or is_administrator(actor.user)
    ):
        raise NotYours("There is no such request.")
    with transaction.atomic():
        _decide(request, AccessRequest.State.WITHDRAWN, actor)
        record(actor, "analysis.ask_withdrawn", _target(request))


def approve(request: AccessRequest, *, level: Grant.Level, actor: Actor, note: str = "") -> AccessRequest:
    """Grant the analysis to the group. Administrators may. Raises NotOpen, LimitReached or PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        _decide(request, AccessRequest.State.APPROVED, actor, note)
        try:
            request.deployment = grant_analysis(analysis=request.analysis, group=request.group, level=level, actor=actor)
        except AlreadyGranted:
            # Somebody granted it meanwhile, by another way.
            request.deployment = None
        request.save(update_fields=["deployment"])
        record(actor, "analysis.ask_approved", _target(request), level=level.value)
        said = f"{request.group.name} may use {request.analysis.name}; AWS has it in about a minute."
        _notify_asker(request, f"You may use {request.analysis.name}", said)
    return request


def decline(request: AccessRequest, *, note: str, actor: Actor) -> AccessRequest:
    """Decline the request with a note. Administrators may. Raises NotOpen or PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        _decide(request, AccessRequest.State.DECLINED, actor, note)
        record(actor, "analysis.ask_declined", _target(request), note=request.note)
        _notify_asker(
            request, f"{request.analysis.name} was not granted", f"{request.group.name} was not given {request.analysis.name}."
        )
    return request


def _decide(request: AccessRequest, state: AccessRequest.State, actor: Actor, note: str = "") -> None:
    fields = {
        "state": state,
        "decided_at": timezone.now(),
        "decided_by": actor.label,
        "note": " ".join(note.split())[:MAX_REASON_CHARACTERS],
    }
    # The first decision counts.
    if not AccessRequest.objects.filter(pk=request.pk, state=AccessRequest.State.WAITING).update(**fields):
        request.refresh_from_db()
        raise NotOpen(f"This was decided already: {request.get_state_display()}. Nothing was changed.")
    for name, value in fields.items():
        setattr(request, name, value)


def _notify_asker(request: AccessRequest, subject: str, said: str) -> None:
    asker: User = request.asked_by
    if not asker.is_active:
        return
    announce_about_group(
        request.group,
        about=f"analysis request {request.pk} decided",
        recipients=[asker.email],
        subject=subject,
        paragraphs=[said, *([f"{request.decided_by} writes: {request.note}"] if request.note else [])],
        path=reverse("catalogue:analysis", args=(request.analysis.slug,)),
    )


def _target(request: AccessRequest) -> str:
    return f"{request.analysis.slug} for {request.group.slug}"
