"""Managers' sign-off of who can reach what in a group: when it is due, what is signed, and the reminder."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, DateTimeField, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from control_plane.access.groups.announcements import announce_about_group
from control_plane.access.groups.models import Group
from control_plane.access.groups.permissions import managers, require_manager
from control_plane.access.review import listing
from control_plane.access.review.models import AccessEntry, Reminder, Scan, SignOff
from control_plane.accounts.models import User
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.base.errors import Refused
from control_plane.deployments.requests import lock

logger = logging.getLogger("cohort.review")

MAX_SCAN_AGE = timedelta(days=1)
MAX_GROUPS_PER_SWEEP = 200
# Differences that a sign-off keeps in words; all of them are in its lines.
MAX_DIFFERENCES_KEPT = 500


class NotSignable(Refused):
    """The scan to be signed is missing, too old, or not what AWS holds now."""


@dataclass(frozen=True)
class SignOffStatus:
    """Sign-off status of a group: the last sign-off, and when the next is due."""

    last: SignOff | None
    due_at: datetime

    @property
    def is_due(self) -> bool:
        """True once a sign-off is due."""
        return self.due_at <= timezone.now()


def sign_off_status(group: Group) -> SignOffStatus:
    """Return a group's sign-off status. One query."""
    last = group.sign_offs.first()
    return SignOffStatus(last, (last.at if last else group.created_at) + _period())


def groups_by_sign_off() -> QuerySet[Any]:
    """Return the groups, longest overdue first, each with `signed_at`, `signed_by`, `since` and `is_due`."""
    last = SignOff.objects.filter(group=OuterRef("pk")).order_by("-at", "-pk")
    groups: QuerySet[Any] = Group.objects.filter(retired_at=None).annotate(
        signed_at=Subquery(last.values("at")[:1], output_field=DateTimeField(null=True)),
        signed_by=Subquery(last.values("by")[:1]),
    )
    groups = groups.annotate(since=Coalesce("signed_at", "created_at"))
    due = Case(When(since__lte=timezone.now() - _period(), then=Value(value=True)), default=Value(value=False))
    ordered: QuerySet[Any] = groups.annotate(is_due=due).select_related("review_scan", "stack").order_by("since", "slug")
    return ordered


def reason_not_signable(group: Group, scan: Scan | None) -> str:
    """Return why the scan cannot be signed now; empty if it can."""
    if scan is None or scan.finished_at is None:
        return "AWS was not checked yet. Choose “Check now” first."
    if scan.finished_at < timezone.now() - MAX_SCAN_AGE:
        return "AWS was last checked more than a day ago. Choose “Check now” first."
    if not listing.is_current(scan, group):
        return "The group was deployed since AWS was last checked. Choose “Check now” first."
    return ""


def sign_off(*, group: Group, actor: Actor, looked_at: datetime, note: str = "") -> SignOff:
    """Record the actor's sign-off of the scan that finished at `looked_at`. Raises NotSignable or PermissionDenied."""
    with transaction.atomic():
        group.stack = lock(group.stack_id)
        require_manager(actor, group)
        scan = Scan.objects.filter(group=group).first()
        if reason := reason_not_signable(group, scan):
            raise NotSignable(f"Nothing was signed. {reason}")
        if scan is None or scan.finished_at != looked_at:
            raise NotSignable("AWS was checked again since you opened the page. Nothing was signed; read it again, then sign.")
        signed = SignOff.objects.create(
            group=group,
            user=actor.user,
            by=actor.label,
            note=" ".join(note.split())[:1000],
            looked_at=looked_at,
            counts=listing.counts(group),
            differences=_differences(group),
            lines=_signed_lines(group),
        )
        record(actor, "review.sign", group.slug, looked_at=looked_at.isoformat(), **signed.counts)
    return signed


def remind_of_reviews() -> int:
    """Remind managers, once a period, that a review is due; administrators where there is no manager.

    Returns how many groups.
    """
    last_reminder = Reminder.objects.filter(group=OuterRef("pk")).order_by("-since").values("since")[:1]
    due = (
        groups_by_sign_off().filter(is_due=True, stack__deployed_generation__gt=0).annotate(reminded_since=Subquery(last_reminder))
    )
    reminded = 0
    for group in due.filter(Q(reminded_since__isnull=True) | Q(reminded_since__lt=F("since")))[:MAX_GROUPS_PER_SWEEP]:
        with transaction.atomic():
            # Of several workers, the one that makes the row sends the reminder.
            _, is_new = Reminder.objects.get_or_create(group=group, since=group.since)
            if is_new:
                _remind(group, group.since)
                reminded += 1
    return reminded


def _remind(group: Group, since: datetime) -> None:
    people = list(managers(group).order_by("pk").values_list("user__email", flat=True))
    if not people:
        people = list(User.objects.filter(is_active=True, is_staff=True, is_superuser=True).values_list("email", flat=True))
    announce_about_group(
        group,
        about=f"review due since {since.isoformat()}",
        recipients=people,
        subject=f"Please review who can reach what in {group.name}",
        paragraphs=[
            f"Nobody has confirmed for {config().review_days} days who can reach what in {group.name}. "
            "Please look through it, remove who does not belong any more, and sign:",
        ],
        path=f"{group.get_absolute_url()}review/",
    )


def _differences(group: Group) -> list[str]:
    differences = [f"{finding}: {finding.detail}" for finding in listing.findings(group)[:MAX_DIFFERENCES_KEPT]]
    differing = AccessEntry.objects.filter(group=group, differs=True).order_by("principal", "bucket", "pk")[:MAX_DIFFERENCES_KEPT]
    return differences + [f"{line.principal}, {line.bucket or 'no bucket'}: {', '.join(line.mark_labels)}" for line in differing]


def _signed_lines(group: Group) -> list[list[str]]:
    """Return the lines that are signed, by opaque usernames: a person who is erased later is erased from here too."""
    lines = AccessEntry.objects.filter(group=group).select_related("membership").order_by("principal", "bucket", "pk")
    return [
        [
            *(line.membership.username if line.membership else line.principal, line.bucket, line.prefix),
            *(line.rights, ", ".join(line.mark_labels)),
        ]
        for line in lines
    ]


def _period() -> timedelta:
    return timedelta(days=config().review_days)
