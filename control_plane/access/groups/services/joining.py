"""Asking to join a group, and what is decided about it.

A request belongs to one person and never gives access by itself: a manager or an administrator approves it, or, where the
settings trust the domain of a verified address, the code that the person was given does.
"""

import logging
from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from control_plane.access.groups.announcements import announce_request
from control_plane.access.groups.errors import AlreadyAsked, AlreadyMember, CodeRefused, NotOpen, TooManyTries
from control_plane.access.groups.join_policy import addresses_of_deciders, check_new_group_name, trusts_address
from control_plane.access.groups.models import Access, JoinCode, JoinRequest, Membership
from control_plane.access.groups.permissions import require_manager, require_may_give
from control_plane.access.groups.services.join_codes import find_usable_code, use_code
from control_plane.access.groups.services.members import add_to_new_group, admit
from control_plane.accounts.models import User
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent, record
from control_plane.base.errors import InvalidName, Refused
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import lock
from control_plane.notifications.models import Notice

MAX_WRONG_CODES = 10
WRONG_CODES_WITHIN = timedelta(hours=1)
MAX_NOTE = 400

logger = logging.getLogger("cohort.joining")


def ask_to_join(*, user: User, actor: Actor, code: str = "", new_group_name: str = "", is_verified: bool = True) -> JoinRequest:
    """Ask to be in the group of a join code, or in a new one of this name. `is_verified`: whether the address is the person's.

    Raises CodeRefused, TooManyTries, InvalidName, AlreadyMember or AlreadyAsked.
    """
    code, new_group_name = code.strip(), new_group_name.strip()
    if bool(code) == bool(new_group_name):
        raise InvalidName("Give either a join code or the name of a new group. Nothing was changed.")
    found = _find_code(code, user, actor) if code else None
    name = "" if found else check_new_group_name(new_group_name)
    if found and Membership.objects.wanted().filter(group=found.group, user=user).exists():
        raise AlreadyMember(f"You are in {found.group.name} already. Nothing was changed.")
    with transaction.atomic():
        request = _make(user, actor, found, name)
        if is_verified:
            _present(request)
    return request


def go_on_once_verified(user: User) -> None:
    """Let what the person asked for at sign-up be decided, now that the address is known to be theirs. Can be called again."""
    unverified = JoinRequest.objects.filter(user=user, state=JoinRequest.State.UNVERIFIED)
    for request in unverified.select_related("user", "group__stack", "code"):
        with transaction.atomic():
            waiting = JoinRequest.State.WAITING
            if JoinRequest.objects.filter(pk=request.pk, state=JoinRequest.State.UNVERIFIED).update(state=waiting):
                request.state = waiting
                _present(request)


def approve(
    request: JoinRequest,
    *,
    actor: Actor,
    access: Access = Access.FEDERATED,
    as_manager: bool = False,
    new_group_slug: str = "",
) -> Deployment:
    """Give the person access, and return the deployment that does. A new group is made, with them as its manager.

    Raises NotOpen if it is decided already, what `add_members` and `create_group` raise, or PermissionDenied. Of two who decide
    at the same time exactly one succeeds.
    """
    with transaction.atomic():
        request = JoinRequest.objects.select_related("user", "group__stack").get(pk=request.pk)
        if request.group is None:
            require_administrator(actor)
            _decide(request, JoinRequest.State.APPROVED, actor)
            request.group, request.deployment = add_to_new_group(
                slug=new_group_slug,
                name=request.requested_name,
                users=[request.user],
                access=access,
                actor=actor,
                as_managers=True,
            )
        else:
            # The stack first, as everybody who adds people does, so that two who decide wait for each other in one order.
            request.group.stack = lock(request.group.stack_id)
            require_manager(actor, request.group)
            require_may_give(actor, request.group, access)
            _decide(request, JoinRequest.State.APPROVED, actor)
            request.deployment = admit(
                group=request.group, users=[request.user], access=access, actor=actor, as_managers=as_manager
            )
        request.save(update_fields=["group", "deployment"])
        target = f"{request.user.email} in {request.group.slug}"
        record(actor, "join.approve", target, request=request.pk, deployment=request.deployment.pk)
        announce_request(request, Notice.Event.JOIN_APPROVED, [request.user.email])
        return request.deployment


def decline(request: JoinRequest, *, actor: Actor, note: str = "") -> None:
    """Refuse the request; `note` is told to the person. Raises NotOpen or PermissionDenied."""
    note = " ".join(note.split())[:MAX_NOTE]
    with transaction.atomic():
        request = JoinRequest.objects.select_related("user", "group").get(pk=request.pk)
        if request.group is None:
            require_administrator(actor)
        else:
            require_manager(actor, request.group)
        _decide(request, JoinRequest.State.DECLINED, actor, note=note)
        record(actor, "join.decline", f"{request.user.email}, {request.place}", request=request.pk, note=note)
        announce_request(request, Notice.Event.JOIN_DECLINED, [request.user.email])


def withdraw(request: JoinRequest, *, actor: Actor) -> None:
    """Take one's own request back. Raises NotOpen or PermissionDenied."""
    if not (actor.is_operator or (actor.user is not None and actor.user.pk == request.user_id)):
        raise PermissionDenied("Only who asked may take a request back. Nothing was changed.")
    with transaction.atomic():
        request = JoinRequest.objects.select_related("user", "group").get(pk=request.pk)
        _decide(request, JoinRequest.State.WITHDRAWN, actor)
        record(actor, "join.withdraw", f"{request.user.email}, {request.place}", request=request.pk)


def _find_code(text: str, user: User, actor: Actor) -> JoinCode:
    """Look a code up, unless the person has tried too many. A wrong one is counted by its row in the audit trail."""
    wrong = AuditEvent.objects.filter(
        action="join.code_refused", actor_user=user, at__gt=timezone.now() - WRONG_CODES_WITHIN
    ).count()
    if wrong >= MAX_WRONG_CODES:
        raise TooManyTries("You gave too many codes that do not work. Nothing was changed; try again in an hour.")
    try:
        return find_usable_code(text)
    except CodeRefused:
        record(actor, "join.code_refused", user.email)
        raise


def _make(user: User, actor: Actor, code: JoinCode | None, name: str) -> JoinRequest:
    if code:
        use_code(code)
    try:
        with transaction.atomic():
            request = JoinRequest.objects.create(
                user=user,
                group=code.group if code else None,
                requested_name=name,
                code=code,
                state=JoinRequest.State.UNVERIFIED,
            )
    except IntegrityError as error:
        raise AlreadyAsked(
            "You have asked for this already, and it is not decided yet. Nothing was changed; your home page shows where it stands."
        ) from error
    # What the administration proposes for this person while the request is open. Of the code only its beginning is kept.
    user.requested_group = code.group.slug if code else name
    user.requested_group_code, user.use_code = (code.prefix if code else ""), code is not None
    user.save(update_fields=["requested_group", "requested_group_code", "use_code"])
    details = {"request": request.pk} | ({"code": code.prefix} if code else {})
    record(actor, "join.ask", f"{user.email}, {request.place}", **details)
    return request


def _present(request: JoinRequest) -> None:
    """Have a request decided: by itself where that is trusted, else by people, who are told."""
    if request.state == JoinRequest.State.UNVERIFIED:
        request.state = JoinRequest.State.WAITING
        request.save(update_fields=["state"])
    if trusts_address(request):
        try:
            approve(request, actor=Actor.system("joining"))
        except Refused as refusal:
            logger.warning("request %d was not approved by itself: %s", request.pk, refusal)
        else:
            request.refresh_from_db()
            return
    announce_request(request, Notice.Event.JOIN_ASKED, addresses_of_deciders(request))


def _decide(request: JoinRequest, state: JoinRequest.State, actor: Actor, note: str = "") -> None:
    """Move an undecided request on, if nobody was faster. Raises NotOpen."""
    # Its owner may take a request back that nobody else may decide yet.
    wanted = JoinRequest.OPEN if state == JoinRequest.State.WITHDRAWN else (JoinRequest.State.WAITING,)
    fields = {"state": state, "decided_at": timezone.now(), "decided_by": actor.label, "note": note}
    if not JoinRequest.objects.filter(pk=request.pk, state__in=wanted).update(**fields):
        raise NotOpen(_why_not_open(JoinRequest.objects.get(pk=request.pk)))
    for name, value in fields.items():
        setattr(request, name, value)
    # Nobody is shown as asking for what was decided.
    asked = request.group.slug if request.group else request.requested_name
    proposed = {"requested_group": "", "requested_group_code": "", "use_code": False}
    User.objects.filter(pk=request.user_id, requested_group=asked).update(**proposed)


def _why_not_open(request: JoinRequest) -> str:
    if request.state == JoinRequest.State.UNVERIFIED:
        return "The person has not verified their e-mail address yet. Nothing was changed; you are told when they have."
    by = f" by {request.decided_by}" if request.decided_by else ""
    return f"This request was {request.get_state_display()} already{by}. Nothing was changed."
