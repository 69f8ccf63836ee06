"""Take back what was asked for in a group where its deployment is cancelled; never what takes access away."""

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

NOTE = "An administrator cancelled it before AWS had made it."


def withdraw_cancelled(*, deployment: Deployment, stack: Stack, actor: Actor) -> Deployment | None:
    """Take back what the deployment was to give in a group, in the caller's transaction; see `signals.deployment_cancelled`."""
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
    deeds = [
        _end_memberships(group, deployment, actor),
        _end_grants(group, deployment, actor),
        *_restore_members(group, held, asked, actor),
        _suspend_again(group, held, asked, actor),
    ]
    if not any(deeds):
        return None
    return request_group_deployment(group, f"Withdrawing what deployment {deployment.pk} was to bring", actor)


def _end_memberships(group: Group, deployment: Deployment, actor: Actor) -> bool:
    joining = Membership.objects.wanted().filter(**_asked_for(group, deployment)).select_related("user")
    found = list(joining.order_by("user__email"))
    _end(joining, group)
    for one in found:
        told = {"before": {"access": one.access, "username": one.username}, "deployment": deployment.pk}
        record(actor, "member.withdraw", f"{one.user.email} in {group.slug}", **told)
    _decline_requests(group, [one.user_id for one in found], actor)
    return bool(found)


def _end_grants(group: Group, deployment: Deployment, actor: Actor) -> bool:
    withdrawn = False
    wanted = Grant.objects.wanted().filter(**_asked_for(group, deployment)).select_related("analysis")
    for grant in wanted.order_by("analysis__slug"):
        # What it took the place of on AWS, if anything did.
        before = Grant.objects.filter(
            group=group,
            analysis=grant.analysis_id,
            added_generation__lte=group.stack.deployed_generation,
            removed_generation__gt=group.stack.deployed_generation,
        ).first()
        if before is not None and (before.level == Grant.Level.READ_WRITE or before.level == grant.level):
            # Reading alone instead of writing takes something away.
            continue
        _end(Grant.objects.filter(pk=grant.pk), group)
        if before is not None:
            Grant.objects.filter(pk=before.pk).update(removed_generation=None, removed_at=None)
        levels = {"before": {"level": grant.level}, "after": {"level": before.level if before else None}}
        record(actor, "analysis.withdraw", f"{grant.analysis.slug} to {group.slug}", **levels, deployment=deployment.pk)
        withdrawn = True
    return withdrawn


def _restore_members(group: Group, held: GroupManifest | None, asked: GroupManifest, actor: Actor) -> list[bool]:
    before = {one.username: one for one in held.members} if held else {}
    wished = {one.username: one for one in asked.members if one.username in before and one != before[one.username]}
    found = Membership.objects.wanted().filter(group=group, username__in=wished).select_related("user", "group")
    return [_restore(one, before[one.username], wished[one.username], actor) for one in found.order_by("user__email")]


def _restore(membership: Membership, was: Member, wished: Member, actor: Actor) -> bool:
    """Take back what would let a member of before do more: a key, an end of a suspension, an old key that works again."""
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
    """Whoever had asked to join is told that nothing comes of it."""
    asked = JoinRequest.objects.filter(group=group, user__in=users, state=JoinRequest.State.APPROVED).select_related(
        "user", "group"
    )
    for request in asked.filter(deployment__stack=group.stack_id, deployment__generation__gt=group.stack.deployed_generation):
        request.state, request.note = JoinRequest.State.DECLINED, NOTE
        request.decided_at, request.decided_by = timezone.now(), actor.label
        request.save(update_fields=["state", "note", "decided_at", "decided_by"])
        announce_request(request, Notice.Event.JOIN_DECLINED, [request.user.email])


def _asked_for(group: Group, deployment: Deployment) -> dict[str, Any]:
    """What picks the rows that a deployment was to bring and AWS does not hold."""
    return {
        "group": group,
        "added_generation__gt": group.stack.deployed_generation,
        "added_generation__lte": deployment.generation,
    }


def _end(rows: QuerySet[Any], group: Group) -> None:
    rows.update(removed_generation=group.stack.generation + 1, removed_at=timezone.now())


def _since(action: str, target: str) -> datetime:
    """Since when a suspension was in force that was to be lifted, by the audit trail; now where that does not say."""
    last = AuditEvent.objects.filter(action=action, target=target).order_by("-pk").first()
    moment = (last.details.get("before") or {}).get("suspended_at") if last else None
    return datetime.fromisoformat(moment) if moment else timezone.now()
