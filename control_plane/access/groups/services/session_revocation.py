"""Session revocation: cut-offs that deny every AWS session opened for a person before a moment, in all their groups.

A worker puts the denial on AWS within seconds (`deployments.lockout`), and the deployment requested here makes it part of the
group's stack. New sessions are not denied. Once the longest session is over, the cut-off is dropped.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.services.groups import request_group_deployment
from control_plane.access.groups.services.manifests import MAX_SESSION_DURATION, previous_manifest
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.base.errors import Refused
from control_plane.deployments.requests import lock

logger = logging.getLogger("cohort.sweep")

# Covers sessions being opened at the same time, and clock skew: no session is opened for the person before it has passed.
MARGIN = timedelta(seconds=5)
MAX_GROUPS_PER_SWEEP = 50


@dataclass(frozen=True)
class CutOff:
    """Names of the groups in which a person's sessions are being denied, and of those in which the deployment was refused."""

    groups: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


def end_sessions_of(user: User, *, actor: Actor) -> CutOff:
    """Deny every session that was opened for this person until now, in each of their groups. Needs a transaction.

    A group whose manifest AWS could not hold does not stop the others; its sessions end by themselves within an hour.
    """
    not_before = timezone.now().replace(microsecond=0) + MARGIN
    memberships = Membership.objects.wanted().filter(user=user, added_generation__lte=F("group__stack__deployed_generation"))
    done, failed = [], []
    for membership in memberships.select_related("group").order_by("group__stack"):
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
    """Drop the cut-offs that are older than any open session. Returns the number of groups; the sweep calls it.

    Where changes need approval, the denial, which has no effect by then, is removed with the group's next deployment.
    """
    past = Membership.objects.wanted().filter(sessions_not_before__lte=timezone.now() - MAX_SESSION_DURATION)
    groups = list(Group.objects.filter(memberships__in=past).distinct().order_by("stack_id")[:MAX_GROUPS_PER_SWEEP])
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
    """Return whether the group's last manifest denies sessions by their age."""
    manifest = previous_manifest(group.stack, group.stack.generation + 1)
    return manifest is not None and (bool(manifest.cut_offs) or manifest.sessions_not_before is not None)


def _lift(group: Group) -> None:
    try:
        with transaction.atomic():
            request_group_deployment(group, f"Dropping the denial of sessions that are over in {group.name}", Actor.system("sweep"))
    except Refused as refusal:
        logger.warning("%s: the denial of sessions that are over goes with its next deployment: %s", group, refusal)
