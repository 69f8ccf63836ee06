"""End dates of memberships: setting one, the reminder before it, and ending the membership."""

import logging
from collections import defaultdict
from datetime import date, datetime, time, timedelta

from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.announcements import announce_about_group
from control_plane.access.groups.errors import InvalidEnd, NotMember
from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.permissions import managers, require_manager
from control_plane.access.groups.services.members import end_memberships
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.deployments.requests import lock

logger = logging.getLogger("cohort.sweep")

MAX_DURATION = timedelta(days=10 * 366)
# Memberships that one call ends or reminds of; the next sweep goes on.
MAX_MEMBERSHIPS_PER_SWEEP = 500


def set_end(*, group: Group, user: User, ends_at: datetime | None, actor: Actor) -> Membership:
    """Set or, with None, clear the end date of a membership. AWS is changed when it ends, not before.

    Managers may, in their own group. Raises InvalidEnd, NotMember or PermissionDenied.
    """
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        require_manager(actor, group)
        check_end(ends_at)
        membership = Membership.objects.wanted().select_related("user").filter(group=group, user=user).first()
        if membership is None:
            raise NotMember(f"{user.email} is not in {group.name}. Nothing was changed; add them first.")
        if membership.ends_at != ends_at:
            before, membership.ends_at, membership.reminded_at = membership.ends_at, ends_at, None
            membership.save(update_fields=["ends_at", "reminded_at"])
            change = {"before": {"ends_at": iso(before)}, "after": {"ends_at": iso(ends_at)}}
            record(actor, "member.ends", f"{user.email} in {group.slug}", **change)
    changed: Membership = membership
    return changed


def last_moment(day: date) -> datetime:
    """Return the last second of this day in the current time zone: the end date of a membership whose last day it is."""
    return timezone.make_aware(datetime.combine(day, time(23, 59, 59)))


def check_end(ends_at: datetime | None) -> None:
    """Raise InvalidEnd for a moment that has passed or is too far away."""
    if ends_at is None:
        return
    if ends_at <= timezone.now():
        raise InvalidEnd(f"{ends_at:%Y-%m-%d} has passed. Nothing was changed; give a later day, or remove the member now.")
    if ends_at > timezone.now() + MAX_DURATION:
        raise InvalidEnd(f"{ends_at:%Y-%m-%d} is more than ten years away. Nothing was changed; give an earlier day, or none.")


def end_due() -> int:
    """End the memberships whose end date has passed, those of one group in one deployment. Returns how many."""
    due = Membership.objects.wanted().filter(ends_at__lte=timezone.now()).order_by("ends_at")
    by_group: dict[int, list[int]] = defaultdict(list)
    for group_id, user_id in due.values_list("group", "user")[:MAX_MEMBERSHIPS_PER_SWEEP]:
        by_group[group_id].append(user_id)
    return sum(_end_in(group_id, user_ids) for group_id, user_ids in by_group.items())


def remind_of_ends() -> int:
    """Remind members whose end date is near, and their groups' managers. Returns how many members."""
    soon = timezone.now() + timedelta(days=config().reminder_days)
    due = Membership.objects.wanted().filter(ends_at__lte=soon, ends_at__gt=timezone.now(), reminded_at__isnull=True)
    reminded = 0
    for membership in due.select_related("group", "user").order_by("ends_at")[:MAX_MEMBERSHIPS_PER_SWEEP]:
        with transaction.atomic():
            # The worker that writes the date first sends the e-mails.
            unreminded = Membership.objects.wanted().filter(pk=membership.pk, ends_at=membership.ends_at, reminded_at__isnull=True)
            if unreminded.update(reminded_at=timezone.now()):
                _remind(membership)
                reminded += 1
    return reminded


def _end_in(group_id: int, user_ids: list[int]) -> int:
    actor = Actor.system("terms")
    with transaction.atomic():
        group = Group.objects.get(pk=group_id)
        group.stack = lock(group.stack_id)
        # Their end date may have been moved since, or they may have been removed.
        due = Membership.objects.wanted().filter(group=group, user__in=user_ids, ends_at__lte=timezone.now())
        users = [membership.user for membership in due.select_related("user")]
        if users:
            deployment = end_memberships(group, users, actor)
            logger.info("%s: the time of %d members is over; deployment %s ends their access", group, len(users), deployment.pk)
    return len(users)


def _remind(membership: Membership) -> None:
    group, user, day = membership.group, membership.user, f"{membership.ends_at:%A, %d %B %Y}"
    about = f"membership {membership.pk} ends {iso(membership.ends_at)}"
    announce_about_group(
        group,
        about=about,
        recipients=[user.email] if user.is_active else [],
        subject=f"Your access to {group.name} ends on {day}",
        paragraphs=[
            f"Your access to {group.name} ends on {day}. See what you can reach until then, and who manages the group:",
        ],
        path=group.get_absolute_url(),
    )
    announce_about_group(
        group,
        about=about,
        recipients=managers(group).exclude(user=user).order_by("pk").values_list("user__email", flat=True),
        subject=f"{user.email}’s access to {group.name} ends on {day}",
        paragraphs=[
            f"{user.email}’s access to {group.name} ends on {day}. If they are to stay, give them a later day on the group’s page:",
        ],
        path=group.get_absolute_url(),
    )


def iso(moment: datetime | None) -> str | None:
    """Return the moment in ISO 8601, for the audit trail."""
    return moment.isoformat() if moment else None
