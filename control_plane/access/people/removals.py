"""Removal of people: access in every group first, then sessions and requests, and finally, on demand, the account.

The account itself is erased by `departures.erase_departed`, once AWS has removed the access.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from allauth.idp.oidc.models import Token
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from control_plane.access.groups.models import GenerationScopedQuerySet, Group, JoinRequest, Membership
from control_plane.access.groups.services.members import end_memberships
from control_plane.accounts.models import User
from control_plane.accounts.permissions import active_administrators, is_administrator, require_administrator
from control_plane.accounts.services.deletion import LastAdministrator, cancel_deletion
from control_plane.accounts.services.sessions import end_all_sessions
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.errors import Refused
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import lock

logger = logging.getLogger("cohort.accounts")
MAX_PEOPLE_PER_SWEEP = 200


class AlreadyErased(Refused):
    """The account was erased: it has no name or address, and cannot be used again."""


class RemovesSelf(Refused):
    """The actor is among the people to remove."""


@dataclass(frozen=True)
class Loss:
    """Access and sessions that one person loses. `unmanaged`: groups that would be left without a manager."""

    user: User
    memberships: tuple[Membership, ...]
    requests: int
    sessions: int
    computers: int
    unmanaged: tuple[Group, ...]

    @property
    def is_administrator(self) -> bool:
        """True if the site loses an administrator as well."""
        return is_administrator(self.user)


def preview_removal(users: Sequence[User]) -> list[Loss]:
    """Return what each of these people would lose. A fixed number of queries for any number of people; changes nothing."""
    keys = [user.pk for user in users]
    memberships: dict[int, list[Membership]] = defaultdict(list)
    for membership in Membership.objects.wanted().filter(user__in=keys).select_related("group").order_by("group__slug"):
        memberships[membership.user_id].append(membership)
    managing = Membership.objects.wanted().filter(is_manager=True, user__is_active=True).exclude(user__in=keys)
    managed = {membership.group_id for rows in memberships.values() for membership in rows if membership.is_manager}
    still = set(managing.filter(group__in=managed).values_list("group", flat=True))
    requests = _count(JoinRequest.objects.filter(user__in=keys, state__in=JoinRequest.OPEN).values_list("user", flat=True))
    sessions = _count(UserSession.objects.filter(user__in=keys).values_list("user", flat=True))
    computers = _count(Token.objects.filter(user__in=keys, type=Token.Type.REFRESH_TOKEN).values_list("user", flat=True))
    return [
        Loss(
            user=user,
            memberships=tuple(memberships[user.pk]),
            requests=requests[user.pk],
            sessions=sessions[user.pk],
            computers=computers[user.pk],
            unmanaged=tuple(row.group for row in memberships[user.pk] if row.is_manager and row.group_id not in still),
        )
        for user in users
    ]


def remove_people(*, users: Sequence[User], actor: Actor, delete: bool = False) -> list[Deployment]:
    """Remove these people's access in all groups, requests, sessions and computers, in one transaction.

    Their accounts are inactive from then on; with `delete` they are erased once AWS has removed the access. Returns the
    deployments that remove the access, one for each group. People who are inactive already lose what is left. Raises
    LastAdministrator, RemovesSelf, AlreadyErased or PermissionDenied, and nothing is changed.
    """
    require_administrator(actor)
    with transaction.atomic():
        # Locked in the order of `ask_deletion`, and with no_key, so that others may insert references to these rows: whoever adds
        # one of these people to a group would otherwise wait for us while we wait for the group.
        administrators = list(active_administrators().select_for_update(no_key=True).values_list("pk", flat=True))
        chosen = User.objects.filter(pk__in=[user.pk for user in users])
        people = list(chosen.select_for_update(no_key=True).order_by("pk"))
        _refuse(people, administrators, actor)
        deployments = [deployment for group in _groups_of(people) for deployment in _remove_access(group, people, actor)]
        _withdraw_requests(people, actor)
        for person in people:
            _close_account(person, delete=delete, actor=actor)
        Token.objects.filter(user__in=people).delete()
    for user in users:
        user.is_active = False
    return deployments


def activate(*, users: Sequence[User], actor: Actor) -> list[User]:
    """Let these people sign in again, and cancel deletions of their accounts. Access is not given back.

    Returns the people whose account changed. Raises AlreadyErased or PermissionDenied.
    """
    require_administrator(actor)
    with transaction.atomic():
        people = list(User.objects.select_for_update(no_key=True).filter(pk__in=[user.pk for user in users]).order_by("pk"))
        _refuse_erased(people)
        changed = [person for person in people if not person.is_active or person.deletion_requested_at]
        for person in changed:
            if not person.is_active:
                person.is_active = True
                person.save(update_fields=["is_active"])
                record(actor, "person.activate", person.email)
            cancel_deletion(person, actor=actor)
    return changed


def remove_inactive_access() -> int:
    """Remove access and open requests that inactive people still have, such as those added to a group at the same moment.

    Returns how many people; the sweep calls it.
    """
    access = Exists(Membership.objects.wanted().filter(user=OuterRef("pk")))
    requests = Exists(JoinRequest.objects.filter(user=OuterRef("pk"), state__in=JoinRequest.OPEN))
    people = list(User.objects.filter(Q(access) | Q(requests), is_active=False).order_by("pk")[:MAX_PEOPLE_PER_SWEEP])
    actor = Actor.system("people")
    for group in _groups_of(people):
        try:
            with transaction.atomic():
                _remove_access(group, people, actor)
        except Refused:
            logger.exception("%s: inactive people could not be removed; the next sweep tries again", group)
    if people:
        with transaction.atomic():
            _withdraw_requests(people, actor)
        logger.warning("%d inactive people still had access or open requests; it is being removed", len(people))
    return len(people)


def _groups_of(people: Sequence[User]) -> QuerySet[Group]:
    """Return the groups of these people, in the order in which stacks are locked."""
    memberships = _memberships(people).filter(group=OuterRef("pk"))
    return Group.objects.filter(Exists(memberships)).order_by("stack_id")


def _memberships(people: Sequence[User]) -> GenerationScopedQuerySet:
    return Membership.objects.wanted().filter(user__in=[person.pk for person in people])


def _remove_access(group: Group, people: Sequence[User], actor: Actor) -> list[Deployment]:
    """End these people's memberships of one group. Returns the deployment; none if no membership is left once it is locked."""
    group.stack = lock(group.stack_id)
    leaving = [membership.user for membership in _memberships(people).filter(group=group).select_related("user")]
    return [end_memberships(group, leaving, actor)] if leaving else []


def _withdraw_requests(people: Sequence[User], actor: Actor) -> None:
    asked = JoinRequest.objects.filter(user__in=[person.pk for person in people], state__in=JoinRequest.OPEN)
    withdrawn: dict[str, list[int]] = defaultdict(list)
    for email, request in asked.order_by("pk").values_list("user__email", "pk"):
        withdrawn[email].append(request)
    asked.update(state=JoinRequest.State.WITHDRAWN, decided_at=timezone.now(), decided_by=actor.label)
    for email, requests in withdrawn.items():
        record(actor, "join.withdraw", email, requests=requests)


def _close_account(person: User, *, delete: bool, actor: Actor) -> None:
    """Deactivate the account, with `delete` schedule its erasure, and end its sessions."""
    before = {"is_active": person.is_active, "deletion_requested_at": person.deletion_requested_at}
    person.is_active = False
    if delete and person.deletion_requested_at is None:
        person.deletion_requested_at = timezone.now()
    person.save(update_fields=["is_active", "deletion_requested_at"])
    if before != {"is_active": False, "deletion_requested_at": person.deletion_requested_at}:
        record(actor, "person.delete" if delete else "person.deactivate", person.email, before={"is_active": before["is_active"]})
    end_all_sessions(person, actor=actor)


def _refuse(people: Sequence[User], administrators: Sequence[int], actor: Actor) -> None:
    _refuse_erased(people)
    going = {person.pk for person in people}
    if administrators and not set(administrators) - going:
        raise LastAdministrator(
            "The site would have no administrator. Nothing was changed; leave one out, or make somebody else one first."
        )
    if actor.user is not None and actor.user.pk in going:
        raise RemovesSelf(
            "You would remove yourself. Nothing was changed; delete your account on your own page, or ask another administrator."
        )


def _refuse_erased(people: Sequence[User]) -> None:
    if erased := [person.email for person in people if person.erased_at]:
        raise AlreadyErased(f"Erased already: {', '.join(erased[:10])}. Nothing was changed; leave them out.")


def _count(keys: Iterable[int]) -> Counter[int]:
    return Counter(keys)
