"""Schedule of scans, and requests for one. A page that requests a scan needs none of AWS's modules."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from control_plane.access.groups.models import Group
from control_plane.access.groups.permissions import require_manager
from control_plane.access.review.listing import newer_groups_unread, runs_since
from control_plane.access.review.models import Scan, UnmanagedResource
from control_plane.access.review.tasks import scan_access
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.claims import claim_or_create
from control_plane.base.errors import TooOften
from control_plane.deployments.iam_delay import SETTLES
from control_plane.deployments.models import Deployment

SCAN_AGE = timedelta(hours=20)
# After a deployment, and after a scan that failed, AWS is scanned again no sooner than this.
MIN_RESCAN_DELAY = timedelta(minutes=5)
# Groups that one sweep starts a scan of; each member who holds a key takes some six requests.
MAX_GROUPS_PER_SWEEP = 10
# Least time between two scans of one group that people request.
MIN_REQUEST_INTERVAL = timedelta(seconds=20)


def start_due_scans() -> int:
    """Enqueue scans of the groups with a run since their last one, or without a scan for a day. Returns how many scans.

    Any run counts, whatever its generation and however it ended: a repair brings what is there already, and a failed run may
    have changed a part.
    """
    now = timezone.now()
    due = _due(now - MIN_RESCAN_DELAY, now - SCAN_AGE)
    # So soon after a deployment IAM may still show the state before it.
    just_deployed = Deployment.objects.filter(stack=OuterRef("stack"), finished_at__gt=now - SETTLES)
    living = Group.objects.filter(~Exists(just_deployed), retired_at=None, stack__deployed_generation__gt=0)
    groups = living.filter(Q(review_scan__isnull=True) | Q(review_scan__in=Scan.objects.filter(due)))
    due_groups = groups.order_by(F("review_scan__asked_at").asc(nulls_first=True), "pk").values_list("pk", flat=True)
    started = sum(_start(pk, due) for pk in due_groups[:MAX_GROUPS_PER_SWEEP])
    again = ~Q(error="") | _may_be_resolved_outside() | Q(Exists(newer_groups_unread()))
    outside = Q(asked_at=None) | Q(asked_at__lt=now - SCAN_AGE) | (again & Q(asked_at__lt=now - MIN_RESCAN_DELAY))
    return started + _start(None, outside)


def request_scan(group: Group, *, actor: Actor) -> None:
    """Have a worker scan a group now. Its managers and administrators may. Raises TooOften or PermissionDenied."""
    require_manager(actor, group)
    now = timezone.now()
    with transaction.atomic():
        due = Scan.objects.filter(Q(asked_at=None) | Q(asked_at__lt=now - MIN_REQUEST_INTERVAL))
        if not claim_or_create(due, "asked_at", lookup={"group": group}, until=now):
            raise TooOften("AWS was asked about this group just now. Nothing was started; reload the page in a moment.")
        record(actor, "review.look", group.slug)
        transaction.on_commit(lambda: scan_access.enqueue(group.pk))


def request_all_scans(*, actor: Actor) -> int:
    """Have every group scanned: a few now, the rest by the sweep. Administrators may. Returns how many groups."""
    require_administrator(actor)
    with transaction.atomic():
        wanted = Scan.objects.update(asked_at=None)
        record(actor, "review.look", "every group")
    start_due_scans()
    return wanted


def _due(recent: object, old: object) -> Q:
    changed = ~Q(generation=F("group__stack__deployed_generation")) | Exists(
        runs_since(OuterRef("group__stack"), OuterRef("finished_at"))
    )
    return Q(asked_at=None) | Q(asked_at__lt=old) | ((changed | ~Q(error="")) & Q(asked_at__lt=recent))


def _may_be_resolved_outside() -> Q:
    """Build the condition that something waits for a decision and a run of any stack may have removed it since."""
    ended = Deployment.objects.filter(finished_at__gt=OuterRef("finished_at"))
    return Q(Exists(UnmanagedResource.objects.all())) & Q(Exists(ended))


def mark_restored(using: str) -> None:
    """Have everything scanned in a restored database, since AWS may hold what was made after the backup."""
    Scan.objects.using(using).update(asked_at=None)


def _start(group_id: int | None, due: Q) -> int:
    # What is due is found across tables, but the row is changed in its own alone: so PostgreSQL looks again at one that was locked.
    looks = Scan.objects.filter(pk__in=Scan.objects.filter(due).values("pk"))
    with transaction.atomic():
        if not claim_or_create(looks, "asked_at", lookup={"group": group_id and Group(pk=group_id)}, until=timezone.now()):
            return 0
        scan_access.enqueue(group_id)
    return 1
