"""Suspension of members and groups, and lifting it: everything is denied within seconds, and nothing is removed.

A worker puts the denial on AWS at once (`deployments.lockout`), and the deployment requested here makes it part of the group's
stack; only a deployment lifts it. Credentials are refused by the database as soon as the change is committed.
"""

from collections.abc import Sequence

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.errors import LastManager, NotMember, NotSuspended
from control_plane.access.groups.lifecycle import refuse_retiring
from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.permissions import managers, require_manager
from control_plane.access.groups.services.expiry import iso
from control_plane.access.groups.services.groups import request_group_deployment
from control_plane.access.groups.services.members import people_in_words
from control_plane.accounts.models import User
from control_plane.accounts.permissions import is_administrator, require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import lock


def suspend_members(*, group: Group, users: Sequence[User], actor: Actor) -> Deployment:
    """Deny everything to these members: all of them in one deployment, or, if one is not a member, none.

    Managers may suspend members of their group, but neither themselves nor its last manager. Raises NotMember, NotSuspended
    if they all are already, LastManager, or PermissionDenied.
    """
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        require_manager(actor, group)
        members = [member for member in _members(group, users) if member.suspended_at is None]
        if not members:
            raise NotSuspended(f"{people_in_words(users)} {_is(users)} suspended in {group.name} already. Nothing was changed.")
        _refuse_own(group, members, actor)
        now = timezone.now()
        Membership.objects.filter(pk__in=[member.pk for member in members]).update(suspended_at=now)
        deployment = request_group_deployment(group, f"Suspending {people_in_words(users)} in {group.name}", actor)
        for member in members:
            target = f"{member.user.email} in {group.slug}"
            record(actor, "member.suspend", target, after={"suspended_at": now.isoformat()}, deployment=deployment.pk)
    return deployment


def resume_members(*, group: Group, users: Sequence[User], actor: Actor) -> Deployment:
    """Lift the suspension of these members, whose keys work again once the deployment has ended. See `suspend_members`."""
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        require_manager(actor, group)
        members = [member for member in _members(group, users) if member.suspended_at is not None]
        if not members:
            raise NotSuspended(f"{people_in_words(users)} {_is(users)} not suspended in {group.name}. Nothing was changed.")
        Membership.objects.filter(pk__in=[member.pk for member in members]).update(suspended_at=None)
        deployment = request_group_deployment(group, f"Resuming {people_in_words(users)} in {group.name}", actor)
        for member in members:
            target, before = f"{member.user.email} in {group.slug}", {"suspended_at": iso(member.suspended_at)}
            record(actor, "member.resume", target, before=before, deployment=deployment.pk)
    return deployment


def suspend_group(*, group: Group, actor: Actor) -> Deployment:
    """Deny everything to everybody in the group. Raises NotSuspended if it is already, or PermissionDenied."""
    return _set_group(group, actor, is_suspended=True)


def resume_group(*, group: Group, actor: Actor) -> Deployment:
    """Lift the group's suspension, but not that of members suspended themselves. Raises NotSuspended or PermissionDenied."""
    return _set_group(group, actor, is_suspended=False)


def _set_group(group: Group, actor: Actor, *, is_suspended: bool) -> Deployment:
    require_administrator(actor)
    with transaction.atomic():
        stack = lock(group.stack_id)
        group.refresh_from_db()
        group.stack = stack
        before = group.suspended_at
        if group.retired_at is not None:
            raise NotSuspended(f"{group.name} is retired: nobody has access. Nothing was changed.")
        if (before is not None) == is_suspended:
            raise NotSuspended(f"{group.name} is {'suspended already' if before else 'not suspended'}. Nothing was changed.")
        if not is_suspended:
            refuse_retiring(group)
        group.suspended_at = timezone.now() if is_suspended else None
        group.save(update_fields=["suspended_at"])
        deployment = request_group_deployment(group, f"{'Suspending' if is_suspended else 'Resuming'} {group.name}", actor)
        record(
            actor,
            "group.suspend" if is_suspended else "group.resume",
            f"group {group.slug}",
            before={"suspended_at": iso(before)},
            after={"suspended_at": iso(group.suspended_at)},
            deployment=deployment.pk,
        )
    return deployment


def _refuse_own(group: Group, members: Sequence[Membership], actor: Actor) -> None:
    """Raise if a manager would suspend themself (PermissionDenied) or the last manager (LastManager); administrators may."""
    if actor.is_operator or is_administrator(actor.user):
        return
    going = {member.user_id for member in members}
    if actor.user is not None and actor.user.pk in going:
        raise PermissionDenied("You cannot suspend yourself. Nothing was changed; ask an administrator, or leave the group.")
    present = set(managers(group).values_list("user", flat=True))
    if present & going and not present - going:
        raise LastManager(f"{group.name} would have no manager. Nothing was changed; ask an administrator.")


def _members(group: Group, users: Sequence[User]) -> list[Membership]:
    wanted = Membership.objects.wanted().filter(group=group, user__in=[user.pk for user in users])
    members = list(wanted.select_related("user").order_by("user__email"))
    inside = {member.user_id for member in members}
    if outside := sorted(user.email for user in users if user.pk not in inside):
        addresses = ", ".join(outside)
        raise NotMember(
            f"{addresses} {'is' if len(outside) == 1 else 'are'} not in {group.name}. Leave them out. Nothing was changed."
        )
    return members


def _is(users: Sequence[User]) -> str:
    return "is" if len(users) == 1 else "are"
