"""Changes of a member's access method: an access key of their own, or short-lived credentials alone."""

from typing import assert_never

from django.db import transaction

from control_plane.access.groups.errors import AlreadyMember, NotMember
from control_plane.access.groups.models import Access, Group, Membership
from control_plane.access.groups.permissions import require_manager, require_may_give
from control_plane.access.groups.services.groups import request_group_deployment
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import lock


def change_access(*, group: Group, user: User, access: Access, actor: Actor) -> Deployment:
    """Have AWS make a member an access key, or remove it and leave them short-lived credentials, without interrupting access.

    Managers may, in their own group. With the key, its predecessor and any from elsewhere are removed too. Raises NotMember,
    AlreadyMember if that is their access method already, LimitReached or PermissionDenied.
    """
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        require_manager(actor, group)
        require_may_give(actor, group, access)
        membership = Membership.objects.wanted().filter(group=group, user=user).first()
        if membership is None:
            raise NotMember(f"{user.email} is not in {group.name}. Nothing was changed; add them first.")
        if membership.access == access:
            raise AlreadyMember(f"{user.email} gets into {group.name} by {_words(access)} already. Nothing was changed.")
        before, membership.access = membership.access, access
        membership.previous_key, membership.previous_key_until = "", None
        if access == Access.KEYS:
            membership.key_generation = group.stack.generation + 1
        membership.save(update_fields=["access", "previous_key", "previous_key_until", "key_generation"])
        summary = f"Letting {user.email} into {group.name} by {_words(access)}"
        deployment = request_group_deployment(group, summary, actor)
        change = {"before": {"access": before}, "after": {"access": access.value}}
        record(actor, "member.access", f"{user.email} in {group.slug}", **change, deployment=deployment.pk)
    return deployment


def _words(access: Access) -> str:
    match access:
        case Access.KEYS:
            return "an access key of their own"
        case Access.FEDERATED:
            return "short-lived credentials"
        case _:
            assert_never(access)
