"""Cut-offs: denying every session of AWS that was opened for a person before a moment, at once, in all their groups.

A worker puts the denial on AWS within seconds (`deployments.lockout`), and the deployment that is asked for here makes it part of
the group's stack. New sessions are not denied. Once the longest session is over, the cut-off is dropped.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.services.groups import request_group_deployment
from control_plane.access.groups.services.manifests import LONGEST_SESSION, previous_manifest
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.base.errors import Refused
from control_plane.deployments.requests import lock

logger = logging.getLogger("cohort.sweep")

# Covers what is under way while it is asked for, and clocks that differ: nobody's sessions are opened before it has passed.
MARGIN = timedelta(seconds=5)
MAX_PER_SWEEP = 50


@dataclass(frozen=True)
class CutOff:
    """The names of the groups in which a person's sessions are being denied, and of those in which that could not be asked for."""

    groups: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def end_sessions_of(user: User, *, actor: Actor) -> CutOff:
    """Deny every session that was opened for this person until now, in each of their groups. Needs a transaction.

    A group whose manifest AWS could not hold hinders no other one; its sessions end by themselves within an hour.
    """
    not_before = timezone.now().replace(microsecond=0) + MARGIN
    mine = Membership.objects.wanted().filter(user=user, added_generation__lte=F("group__stack__deployed_generation"))
    done, failed = [], []
    for membership in mine.select_related("group").order_by("group__stack"):
        try:
            with transaction.atomic():
                _end_in(membership, not_before, actor)
        except Refused as refusal:
            logger.warning("%s: sessions could not be ended: %s", membership, refusal)
            failed.append(membership.group.name)
        else:
            done.append(membership.group.name)
    return CutOff(tuple(done), tuple(failed))


def drop_past_cut_offs() -> int:
    """Drop the cut-offs before which no session can be open any more. Returns of how many groups; the sweep calls it.

    Where changes wait for approval, the denial, which denies nobody anything by then, goes with the group's next deployment.
    """
    past = Membership.objects.wanted().filter(sessions_not_before__lte=timezone.now() - LONGEST_SESSION)
    groups = list(Group.objects.filter(memberships__in=past).distinct().order_by("stack_id")[:MAX_PER_SWEEP])
    for group in groups:
        with transaction.atomic():
            group.stack = lock(group.stack_id)
            past.filter(group=group).update(sessions_not_before=None)
            if config().require_approval == "never" and not group.stack.needs_decision and _is_cut_off(group):
                _lift(group)
    return len(groups)


def _end_in(membership: Membership, not_before: datetime, actor: Actor) -> None:
    group, user = membership.group, membership.user
    group.stack = lock(group.stack_id)
    Membership.objects.filter(pk=membership.pk).update(sessions_not_before=not_before)
    deployment = request_group_deployment(group, f"Ending the open sessions of {user.email} in {group.name}", actor)
    record(
        actor,
        "member.end_sessions",
        f"{user.email} in {group.slug}",
        after={"sessions_not_before": not_before.isoformat()},
        deployment=deployment.pk,
    )


def _is_cut_off(group: Group) -> bool:
    """Whether what was last asked for of the group denies sessions by their age."""
    manifest = previous_manifest(group.stack, group.stack.generation + 1)
    return manifest is not None and (bool(manifest.cut_offs) or manifest.sessions_not_before is not None)


def _lift(group: Group) -> None:
    try:
        with transaction.atomic():
            request_group_deployment(group, f"Dropping the denial of sessions that are over in {group.name}", Actor.system("sweep"))
    except Refused as refusal:
        logger.warning("%s: the denial of sessions that are over goes with its next deployment: %s", group, refusal)
