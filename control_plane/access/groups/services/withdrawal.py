"""Withdrawal of group changes whose deployment is cancelled; changes that remove access are never withdrawn."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from control_plane.access.groups.announcements import announce_request
from control_plane.access.groups.models import Access, Grant, Group, JoinRequest, Membership, PreviousKey
from control_plane.access.groups.services.groups import request_group_deployment
from control_plane.access.groups.services.keys import inactive_until, set_previous
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import AuditEvent, record
from control_plane.deployments.models import Deployment, Stack, StoredManifest
from control_plane.notifications.models import Notice
from stacks.manifest import GroupManifest, Member

CANCELLED_NOTE = "An administrator cancelled it before AWS had made it."


def withdraw_cancelled(*, deployment: Deployment, stack: Stack, actor: Actor) -> Deployment | None:
    """Withdraw what the deployment was to give in a group, in the caller's transaction; see `signals.deployment_cancelled`.

    Returns the deployment that does it, or None if there is nothing to withdraw.
    """
    if stack.kind != Stack.Kind.GROUP:
        return None
    group = Group.objects.get(stack=stack)
    group.stack = stack
    held, asked = (
        StoredManifest.objects.group_at(stack, stack.deployed_generation),
        StoredManifest.objects.group_at(stack, deployment.generation),
    )
    if asked is None:
        return None
    withdrawn = [
        _end_memberships(group, deployment, actor),
        _end_grants(group, deployment, actor),
        *_restore_members(group, held, asked, actor),
        _suspend_again(group, held, asked, actor),
    ]
    if not any(withdrawn):
        return None
    return request_group_deployment(group, f"Withdrawing what deployment {deployment.pk} was to bring", actor)


def _end_memberships(group: Group, deployment: Deployment, actor: Actor) -> bool:
    joining = Membership.objects.wanted().filter(**_asked_for(group, deployment)).select_related("user")
    members = list(joining.order_by("user__email"))
    _end(joining, group)
    for member in members:
        details = {"before": {"access": member.access, "username": member.username}, "deployment": deployment.pk}
        record(actor, "member.withdraw", f"{member.user.email} in {group.slug}", **details)
    _decline_requests(group, [member.user_id for member in members], actor)
    return bool(members)


def _end_grants(group: Group, deployment: Deployment, actor: Actor) -> bool:
    withdrawn = False
    wanted = Grant.objects.wanted().filter(**_asked_for(group, deployment)).select_related("analysis")
    for grant in wanted.order_by("analysis__slug"):
        # The grant that it replaced on AWS, if any.
        before = Grant.objects.filter(
            group=group,
            analysis=grant.analysis_id,
            added_generation__lte=group.stack.deployed_generation,
            removed_generation__gt=group.stack.deployed_generation,
        ).first()
        if before is not None and (before.level == Grant.Level.READ_WRITE or before.level == grant.level):
            # From write to read only: that removes access.
            continue
        _end(Grant.objects.filter(pk=grant.pk), group)
        if before is not None:
            Grant.objects.filter(pk=before.pk).update(removed_generation=None, removed_at=None)
        levels = {"before": {"level": grant.level}, "after": {"level": before.level if before else None}}
        record(actor, "analysis.withdraw", f"{grant.analysis.slug} to {group.slug}", **levels, deployment=deployment.pk)
        withdrawn = True
    return withdrawn


def _restore_members(group: Group, held: GroupManifest | None, asked: GroupManifest, actor: Actor) -> list[bool]:
    before = {member.username: member for member in held.members} if held else {}
    wished = {
        member.username: member for member in asked.members if member.username in before and member != before[member.username]
    }
    memberships = Membership.objects.wanted().filter(group=group, username__in=wished).select_related("user", "group")
    return [_restore(row, before[row.username], wished[row.username], actor) for row in memberships.order_by("user__email")]


def _restore(membership: Membership, was: Member, wished: Member, actor: Actor) -> bool:
    """Withdraw changes that give an existing member more: a key, a lifted suspension, an old key activated again."""
    changes: dict[str, Any] = {}
    target = f"{membership.user.email} in {membership.group.slug}"
    if (was.access, wished.access, membership.access) == ("federated", "keys", Access.KEYS):
        changes["access"] = membership.access = Access.FEDERATED
        membership.previous_key, membership.previous_key_until, membership.key_generation = "", None, None
        membership.save(update_fields=["access", "previous_key", "previous_key_until", "key_generation"])
    if was.suspended and not wished.suspended and membership.suspended_at is None:
        membership.suspended_at = _since("member.resume", target)
        membership.save(update_fields=["suspended_at"])
        changes["suspended_at"] = membership.suspended_at.isoformat()
    states = (was.previous_key, wished.previous_key, membership.previous_key)
    if was.key_serial == wished.key_serial and states == ("inactive", "active", PreviousKey.ACTIVE):
        set_previous(membership, PreviousKey.INACTIVE, inactive_until())
        changes["previous_key"] = PreviousKey.INACTIVE.value
    if changes:
        record(actor, "member.withdraw", target, after=changes)
    return bool(changes)


def _suspend_again(group: Group, held: GroupManifest | None, asked: GroupManifest, actor: Actor) -> bool:
    if held is None or not held.suspended or asked.suspended or group.suspended_at is not None:
        return False
    group.suspended_at = _since("group.resume", f"group {group.slug}")
    group.save(update_fields=["suspended_at"])
    record(actor, "group.withdraw", f"group {group.slug}", after={"suspended_at": group.suspended_at.isoformat()})
    return True


def _decline_requests(group: Group, users: Iterable[int], actor: Actor) -> None:
    """Decline the approved requests of these people that the deployment was to carry out, and announce it to them."""
    approved = JoinRequest.objects.filter(group=group, user__in=users, state=JoinRequest.State.APPROVED).select_related(
        "user", "group"
    )
    for request in approved.filter(deployment__stack=group.stack_id, deployment__generation__gt=group.stack.deployed_generation):
        request.state, request.note = JoinRequest.State.DECLINED, CANCELLED_NOTE
        request.decided_at, request.decided_by = timezone.now(), actor.label
        request.save(update_fields=["state", "note", "decided_at", "decided_by"])
        announce_request(request, Notice.Event.JOIN_DECLINED, [request.user.email])


def _asked_for(group: Group, deployment: Deployment) -> dict[str, Any]:
    """Return the filter for rows that a deployment was to bring and AWS does not hold."""
    return {
        "group": group,
        "added_generation__gt": group.stack.deployed_generation,
        "added_generation__lte": deployment.generation,
    }


def _end(rows: QuerySet[Any], group: Group) -> None:
    rows.update(removed_generation=group.stack.generation + 1, removed_at=timezone.now())


def _since(action: str, target: str) -> datetime:
    """Return when the suspension that was to be lifted began, by the audit trail; now where the trail does not tell."""
    last = AuditEvent.objects.filter(action=action, target=target).order_by("-pk").first()
    moment = (last.details.get("before") or {}).get("suspended_at") if last else None
    return datetime.fromisoformat(moment) if moment else timezone.now()
