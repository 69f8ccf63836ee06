"""Memberships that end by themselves: the date, the reminder before it, and the end."""

import logging
from collections import defaultdict
from datetime import date, datetime, time, timedelta

from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.announcements import announce_about_group
from control_plane.access.groups.errors import InvalidEnd, NotMember
from control_plane.access.groups.models import Group, Membership
from control_plane.access.groups.permissions import managers, require_manager
from control_plane.access.groups.services.members import let_go
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.deployments.requests import lock

logger = logging.getLogger("cohort.sweep")

LONGEST = timedelta(days=10 * 366)
# People whom one call ends or reminds: the next sweep goes on.
MAX_AT_ONCE = 500


def set_end(*, group: Group, user: User, ends_at: datetime | None, actor: Actor) -> Membership:
    """Have a membership end at that moment, or, with None, when somebody ends it. AWS is told when it ends, not before.

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
            told = {"before": {"ends_at": iso(before)}, "after": {"ends_at": iso(ends_at)}}
            record(actor, "member.ends", f"{user.email} in {group.slug}", **told)
    found: Membership = membership
    return found


def last_moment(day: date) -> datetime:
    """When a membership ends whose last day this is."""
    return timezone.make_aware(datetime.combine(day, time(23, 59, 59)))


def check_end(ends_at: datetime | None) -> None:
    """Raise InvalidEnd for a moment that has passed or is too far away."""
    if ends_at is None:
        return
    if ends_at <= timezone.now():
        raise InvalidEnd(f"{ends_at:%Y-%m-%d} has passed. Nothing was changed; give a later day, or remove the member now.")
    if ends_at > timezone.now() + LONGEST:
        raise InvalidEnd(f"{ends_at:%Y-%m-%d} is more than ten years away. Nothing was changed; give an earlier day, or none.")


def end_due() -> int:
    """End the memberships whose time is over: those of one group in one deployment. Returns how many."""
    due = Membership.objects.wanted().filter(ends_at__lte=timezone.now()).order_by("ends_at")
    of_group: dict[int, list[int]] = defaultdict(list)
    for group_id, user_id in due.values_list("group", "user")[:MAX_AT_ONCE]:
        of_group[group_id].append(user_id)
    return sum(_end_in(group_id, user_ids) for group_id, user_ids in of_group.items())


def remind_of_ends() -> int:
    """Tell members whose time is nearly over, and their groups' managers. Returns how many members."""
    soon = timezone.now() + timedelta(days=config().reminder_days)
    due = Membership.objects.wanted().filter(ends_at__lte=soon, ends_at__gt=timezone.now(), reminded_at__isnull=True)
    reminded = 0
    for membership in due.select_related("group", "user").order_by("ends_at")[:MAX_AT_ONCE]:
        with transaction.atomic():
            # Whoever writes the date first tells.
            mine = Membership.objects.wanted().filter(pk=membership.pk, ends_at=membership.ends_at, reminded_at__isnull=True)
            if mine.update(reminded_at=timezone.now()):
                _remind(membership)
                reminded += 1
    return reminded


def _end_in(group_id: int, user_ids: list[int]) -> int:
    actor = Actor.system("terms")
    with transaction.atomic():
        group = Group.objects.get(pk=group_id)
        group.stack = lock(group.stack_id)
        # Somebody may have given them a later day since, or removed them.
        due = Membership.objects.wanted().filter(group=group, user__in=user_ids, ends_at__lte=timezone.now())
        users = [membership.user for membership in due.select_related("user")]
        if users:
            deployment = let_go(group, users, actor)
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
            f"Your access to {group.name} ends on {day}. What you can reach until then, and who manages the group:",
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
    """A moment for the audit trail."""
    return moment.isoformat() if moment else None
