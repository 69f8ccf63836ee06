"""End of replaced keys: the sweep reminds their holders, makes them inactive after the overlap, and removes them later."""

import logging
from collections import defaultdict
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from control_plane.access.groups.announcements import announce_about_group
from control_plane.access.groups.models import GenerationScopedQuerySet, Group, Membership, PreviousKey
from control_plane.access.groups.services.groups import request_group_deployment
from control_plane.access.groups.services.keys import credentials_path, inactive_until, record_old_key, set_previous
from control_plane.access.keys.models import OldKeyReminder
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import Refused
from control_plane.deployments.requests import lock

logger = logging.getLogger("cohort.sweep")

# Old keys that one call ends: the next sweep goes on.
MAX_KEYS_PER_SWEEP = 500
REMINDED_BEFORE = timedelta(days=2)
# A new key that comes late (a deployment that failed, or waits for approval) has the old one beside it for so long at least.
SHORTEST_OVERLAP = timedelta(days=1)


def end_overlaps() -> int:
    """Make old keys inactive whose overlap is over, and remove those that were inactive long enough. Returns how many.

    One deployment ends all of a group. No old key ends before AWS holds the new one.
    """
    _wait_for_new_keys()
    of_group: dict[int, list[int]] = defaultdict(list)
    for group_id, pk in _due().order_by("previous_key_until").values_list("group", "pk")[:MAX_KEYS_PER_SWEEP]:
        of_group[group_id].append(pk)
    ended = 0
    for group_id, pks in of_group.items():
        try:
            ended += _end_in(group_id, pks)
        except Refused:
            logger.exception(
                "group %d: the time of old keys is over, and they could not be ended; the next sweep tries again", group_id
            )
    return ended


def remind_of_old_keys() -> int:
    """Remind members, once, that their old key is about to stop. Returns how many."""
    now = timezone.now()
    reminders = OldKeyReminder.objects.filter(
        membership=OuterRef("pk"), key_serial=OuterRef("key_serial"), until=OuterRef("previous_key_until")
    )
    soon = _with_old_key().filter(
        ~Exists(reminders),
        previous_key=PreviousKey.ACTIVE,
        previous_key_until__gt=now,
        previous_key_until__lte=now + REMINDED_BEFORE,
    )
    reminded = 0
    for membership in soon.select_related("group", "user").order_by("previous_key_until")[:MAX_KEYS_PER_SWEEP]:
        with transaction.atomic():
            # Of several workers, the one that writes the row sends the reminder.
            until = membership.previous_key_until
            _, is_new = OldKeyReminder.objects.get_or_create(membership=membership, key_serial=membership.key_serial, until=until)
            if is_new:
                _remind(membership)
                reminded += 1
    return reminded


def _with_old_key() -> GenerationScopedQuerySet:
    wanted: GenerationScopedQuerySet = Membership.objects.wanted().exclude(previous_key="")
    since: GenerationScopedQuerySet = wanted.annotate(new_since=Coalesce("key_generation", "added_generation"))
    return since


def _due() -> GenerationScopedQuerySet:
    in_force = Q(new_since__lte=F("group__stack__deployed_generation"))
    due: GenerationScopedQuerySet = _with_old_key().filter(in_force, previous_key_until__lte=timezone.now())
    return due


def _wait_for_new_keys() -> None:
    """Postpone the end of old keys whose new one is not deployed yet, so that everybody has time to change over."""
    now = timezone.now()
    late = _with_old_key().filter(
        previous_key=PreviousKey.ACTIVE,
        new_since__gt=F("group__stack__deployed_generation"),
        previous_key_until__lt=now + SHORTEST_OVERLAP / 2,
    )
    pks = list(late.values_list("pk", flat=True)[:MAX_KEYS_PER_SWEEP])
    Membership.objects.filter(pk__in=pks, previous_key=PreviousKey.ACTIVE).update(previous_key_until=now + SHORTEST_OVERLAP)


def _end_in(group_id: int, pks: list[int]) -> int:
    actor = Actor.system("keys")
    with transaction.atomic():
        group = Group.objects.get(pk=group_id)
        group.stack = lock(group.stack_id)
        # One may have been reactivated or removed since.
        due = list(_due().filter(group=group, pk__in=pks).select_related("user").order_by("pk"))
        if not due:
            return 0
        before = {membership.pk: membership.previous_key for membership in due}
        for membership in due:
            if membership.previous_key == PreviousKey.ACTIVE:
                set_previous(membership, PreviousKey.INACTIVE, inactive_until())
            else:
                set_previous(membership, "", None)
        deployment = request_group_deployment(group, _summary(group, due), actor)
        for membership in due:
            membership.group = group
            record_old_key(membership, before[membership.pk], deployment, actor)
    logger.info("%s: the time of %d old keys is over; deployment %s ends them", group, len(due), deployment.pk)
    return len(due)


def _summary(group: Group, ended: list[Membership]) -> str:
    whose = f"{ended[0].user.email}’s old access key" if len(ended) == 1 else f"{len(ended)} old access keys"
    return f"Ending {whose} in {group.name}"


def _remind(membership: Membership) -> None:
    group, day = membership.group, f"{membership.previous_key_until:%A, %d %B %Y, %H:%M} UTC"
    announce_about_group(
        group,
        about=f"key {membership.key_serial - 1} of membership {membership.pk} stops {membership.previous_key_until:%Y-%m-%dT%H:%M}",
        recipients=[membership.user.email] if membership.user.is_active else [],
        subject=f"Your old access key for {group.name} stops working on {membership.previous_key_until:%d %B}",
        paragraphs=[
            f"Your old access key for {group.name} stops working on {day}. Programs that still use it have no access from then on.",
            "Your new key, and when the old one was last used, are on this page:",
        ],
        path=credentials_path(group),
    )
