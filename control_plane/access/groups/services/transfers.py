"""Transfer of a person from one group to another, with no moment without access.

The new membership is requested at once; the old one points to it, and ends when AWS was seen to hold the new one.
"""

import logging

from django.db import transaction
from django.db.models import F

from control_plane.access.groups.errors import AlreadyMember, AlreadyMoving, NotMember
from control_plane.access.groups.models import Access, GenerationScopedQuerySet, Group, Membership
from control_plane.access.groups.permissions import require_manager, require_may_give
from control_plane.access.groups.services.members import admit, end_memberships
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.deployments.models import Deployment
from control_plane.deployments.requests import lock

logger = logging.getLogger("cohort.sweep")

MAX_ROWS_AT_ONCE = 200


def move_member(*, source: Group, target: Group, user: User, actor: Actor, access: Access | None = None) -> Deployment:
    """Give a member of `source` access to `target`, and have their membership of `source` end once that is active.

    They keep their access method, unless `access` names another. Managers of both groups may. Returns the deployment that gives
    the new access. Raises NotMember, AlreadyMember, AlreadyMoving, Inactive, LimitReached or PermissionDenied.
    """
    if source.pk == target.pk:
        raise AlreadyMember(f"{user.email} is in {source.name} already. Nothing was changed; choose another group.")
    with transaction.atomic():
        # Always in the same order, so that two moves in opposite directions do not wait for each other.
        for group in sorted((source, target), key=lambda group: group.stack_id):
            group.stack = lock(group.stack_id)
        for group in (source, target):
            require_manager(actor, group)
        old = Membership.objects.wanted().filter(group=source, user=user).first()
        if old is None:
            raise NotMember(f"{user.email} is not in {source.name}. Nothing was changed; add them to {target.name} instead.")
        if old.replaced_by_id is not None:
            raise AlreadyMoving(
                f"{user.email} is leaving {source.name} for another group already. Nothing was changed; wait for that."
            )
        wanted = access or Access(old.access)
        require_may_give(actor, target, wanted)
        deployment = admit(group=target, users=[user], access=wanted, actor=actor)
        new = Membership.objects.wanted().get(group=target, user=user)
        new.ends_at = old.ends_at
        new.save(update_fields=["ends_at"])
        old.replaced_by = new
        old.save(update_fields=["replaced_by"])
        record(actor, "member.move", f"{user.email} from {source.slug} to {target.slug}", deployment=deployment.pk)
    return deployment


def finish_transfers() -> int:
    """End the old memberships of people whose new one is active. Returns how many.

    A person whose new membership was removed meanwhile stays in the old group.
    """
    _keep_unreplaced()
    arrived = Membership.objects.wanted().filter(
        replaced_by__isnull=False,
        replaced_by__removed_generation__isnull=True,
        replaced_by__added_generation__lte=F("replaced_by__group__stack__deployed_generation"),
    )
    groups = arrived.order_by("group").values_list("group", flat=True).distinct()[:MAX_ROWS_AT_ONCE]
    return sum(_end_old(group_id, arrived) for group_id in groups)


def _end_old(group_id: int, arrived: GenerationScopedQuerySet) -> int:
    with transaction.atomic():
        group = Group.objects.get(pk=group_id)
        group.stack = lock(group.stack_id)
        users = [membership.user for membership in arrived.filter(group=group).select_related("user")[:MAX_ROWS_AT_ONCE]]
        if users:
            deployment = end_memberships(group, users, Actor.system("moves"))
            logger.info("%s: %d members are in another group now; deployment %s ends this one", group, len(users), deployment.pk)
    return len(users)


def _keep_unreplaced() -> None:
    """Keep the old membership of a person who was removed from the new group before the old one ended."""
    given_up = Membership.objects.wanted().filter(replaced_by__removed_generation__isnull=False)
    for membership in given_up.select_related("group", "user")[:MAX_ROWS_AT_ONCE]:
        with transaction.atomic():
            if given_up.filter(pk=membership.pk).update(replaced_by=None):
                record(Actor.system("moves"), "member.move_given_up", f"{membership.user.email} in {membership.group.slug}")
