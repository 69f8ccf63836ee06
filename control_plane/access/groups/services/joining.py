"""Requests to join a group: making, approving, declining and withdrawing them.

A request belongs to one person and never gives access by itself: a manager or an administrator approves it, or, where the
settings trust the domain of a verified address, the join code does.
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
MAX_NOTE_CHARACTERS = 400

logger = logging.getLogger("cohort.joining")


def ask_to_join(*, user: User, actor: Actor, code: str = "", new_group_name: str = "", is_verified: bool = True) -> JoinRequest:
    """Request to join the group of a join code, or a new one of this name. `is_verified` tells if the address is verified.

    Raises CodeRefused, TooManyTries, InvalidName, AlreadyMember or AlreadyAsked.
    """
    code, new_group_name = code.strip(), new_group_name.strip()
    if bool(code) == bool(new_group_name):
        raise InvalidName("Give either a join code or the name of a new group. Nothing was changed.")
    join_code = _find_code(code, user, actor) if code else None
    name = "" if join_code else check_new_group_name(new_group_name)
    if join_code and Membership.objects.wanted().filter(group=join_code.group, user=user).exists():
        raise AlreadyMember(f"You are in {join_code.group.name} already. Nothing was changed.")
    with transaction.atomic():
        request = _make(user, actor, join_code, name)
        if is_verified:
            _submit(request)
    return request


def submit_verified_requests(user: User) -> None:
    """Submit the requests made at sign-up for a decision, now that the person's address is verified. Idempotent."""
    unverified = JoinRequest.objects.filter(user=user, state=JoinRequest.State.UNVERIFIED)
    for request in unverified.select_related("user", "group__stack", "code"):
        with transaction.atomic():
            waiting = JoinRequest.State.WAITING
            if JoinRequest.objects.filter(pk=request.pk, state=JoinRequest.State.UNVERIFIED).update(state=waiting):
                request.state = waiting
                _submit(request)


def approve(
    request: JoinRequest,
    *,
    actor: Actor,
    access: Access = Access.FEDERATED,
    as_manager: bool = False,
    new_group_slug: str = "",
) -> Deployment:
    """Give the person access, and return the deployment that does. A new group is made, with them as its manager.

    Raises NotOpen if it is decided already, the errors of `add_members` and `create_group`, or PermissionDenied. Of two who
    decide at the same time exactly one succeeds.
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
            # The stack is locked first, as by all services that add people, so that two decisions lock in the same order.
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
    """Refuse the request, with a `note` to the person. Raises NotOpen or PermissionDenied."""
    note = " ".join(note.split())[:MAX_NOTE_CHARACTERS]
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
    """Withdraw one's own request. Raises NotOpen or PermissionDenied."""
    if not (actor.is_operator or (actor.user is not None and actor.user.pk == request.user_id)):
        raise PermissionDenied("Only who asked may take a request back. Nothing was changed.")
    with transaction.atomic():
        request = JoinRequest.objects.select_related("user", "group").get(pk=request.pk)
        _decide(request, JoinRequest.State.WITHDRAWN, actor)
        record(actor, "join.withdraw", f"{request.user.email}, {request.place}", request=request.pk)


def _find_code(text: str, user: User, actor: Actor) -> JoinCode:
    """Look up a code. Raises CodeRefused, or TooManyTries by the number of wrong codes in the audit trail."""
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
    # The administration proposes these for the person while the request is open. Only the prefix of the code is kept.
    user.requested_group = code.group.slug if code else name
    user.requested_group_code, user.use_code = (code.prefix if code else ""), code is not None
    user.save(update_fields=["requested_group", "requested_group_code", "use_code"])
    details = {"request": request.pk} | ({"code": code.prefix} if code else {})
    record(actor, "join.ask", f"{user.email}, {request.place}", **details)
    return request


def _submit(request: JoinRequest) -> None:
    """Approve the request where its address is trusted; otherwise announce it to the approvers."""
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
    """Set the state of an undecided request, if nobody was faster. Raises NotOpen."""
    # Its owner may withdraw a request that is not verified yet, which nobody else may decide.
    decidable = JoinRequest.OPEN if state == JoinRequest.State.WITHDRAWN else (JoinRequest.State.WAITING,)
    fields = {"state": state, "decided_at": timezone.now(), "decided_by": actor.label, "note": note}
    if not JoinRequest.objects.filter(pk=request.pk, state__in=decidable).update(**fields):
        raise NotOpen(_why_not_open(JoinRequest.objects.get(pk=request.pk)))
    for name, value in fields.items():
        setattr(request, name, value)
    # The administration no longer proposes it.
    requested = request.group.slug if request.group else request.requested_name
    proposed = {"requested_group": "", "requested_group_code": "", "use_code": False}
    User.objects.filter(pk=request.user_id, requested_group=requested).update(**proposed)


def _why_not_open(request: JoinRequest) -> str:
    if request.state == JoinRequest.State.UNVERIFIED:
        return "The person has not verified their e-mail address yet. Nothing was changed; you are told when they have."
    by = f" by {request.decided_by}" if request.decided_by else ""
    return f"This request was {request.get_state_display()} already{by}. Nothing was changed."
