"""Automatic steps of a group's retirement. Each is derived from the rows, so no worker's death loses one."""

import logging
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone

from control_plane.access.groups.announcements import announce_request
from control_plane.access.groups.models import Group, JoinRequest
from control_plane.access.groups.services.manifests import group_manifest
from control_plane.access.retirement import analysis_steps, leases
from control_plane.access.retirement.inventory import delete_old_surveys
from control_plane.access.retirement.models import AnalysisRetirement, DataChoice, Retirement
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.deployments.requests import lock, request_deployment
from control_plane.notifications.models import Notice

logger = logging.getLogger("cohort.retirement")

MAX_RETIREMENTS_PER_SWEEP = 20
DECLINE_NOTE = "The group is retired."


def advance_retirements() -> None:
    """Begin the retirements that are due, and continue those that AWS has removed: groups', then analyses'.

    A failure does not stop the others.
    """
    due = Retirement.objects.filter(state=Retirement.State.WAITING, due_at__lte=timezone.now())
    removed = Retirement.objects.filter(
        state=Retirement.State.REMOVING,
        group__stack__is_retired=True,
        group__stack__deployed_generation=F("group__stack__generation"),
    )
    for retirements, step in ((due, _begin_due), (removed, _after_removal)):
        for pk in retirements.order_by("due_at").values_list("pk", flat=True)[:MAX_RETIREMENTS_PER_SWEEP]:
            try:
                step(pk)
            except DatabaseError:
                raise
            except Exception:
                logger.exception("retirement %d: a step failed; it is tried again with the next sweep", pk)
    analysis_steps.advance_analysis_retirements()
    delete_old_surveys()


def begin(retirement: Retirement, group: Group) -> None:
    """End everything in the group, whose stack is locked, and request its removal from AWS. In the caller's transaction."""
    actor, now = Actor.system("retirement"), timezone.now()
    _end_members(group, actor)
    group.grants.wanted().update(removed_generation=group.stack.generation + 1, removed_at=now)
    group.join_codes.filter(withdrawn_at__isnull=True).update(withdrawn_at=now)
    _decline_requests(group, actor)
    group.stack.is_retired = True
    group.stack.save(update_fields=["is_retired"])
    deployment = request_deployment(
        group.stack,
        make_manifest=lambda generation: group_manifest(group, generation),
        summary=f"Removing {group.name}, which is retired",
        actor=actor,
    )
    retirement.state, retirement.began_at, retirement.deployment = Retirement.State.REMOVING, now, deployment
    retirement.save(update_fields=["state", "began_at", "deployment"])
    record(actor, "group.retire_begin", f"group {group.slug}", retirement=retirement.pk, deployment=deployment.pk)
    logger.info("%s: its retirement is due; deployment %s removes it from AWS", group, deployment.pk)


def enqueue_data_cleanups(enqueue: Callable[[int], object]) -> None:
    """Claim and enqueue the retirements whose data no worker is cleaning up."""
    leases.enqueue_idle(Retirement.objects.filter(state=Retirement.State.DATA), enqueue, MAX_RETIREMENTS_PER_SWEEP)


def enqueue_bucket_cleanups(enqueue: Callable[[int], object]) -> None:
    """Claim and enqueue the analyses' retirements whose bucket no worker is emptying."""
    emptying = AnalysisRetirement.objects.filter(state=AnalysisRetirement.State.EMPTYING)
    leases.enqueue_idle(emptying, enqueue, MAX_RETIREMENTS_PER_SWEEP)


def finish(retirement: Retirement) -> None:
    """Mark the retirement as done: only the group's record is left."""
    with transaction.atomic():
        now = timezone.now()
        ours = Retirement.objects.filter(pk=retirement.pk, state__in=(Retirement.State.REMOVING, Retirement.State.DATA))
        if not ours.update(state=Retirement.State.DONE, finished_at=now, error="", lease_owner="", lease_until=None):
            return
        Group.objects.filter(pk=retirement.group_id).update(retired_at=now, retires_at=None)
        details: dict[str, Any] = {"data": retirement.data, "places": _places_as_dicts(retirement)}
        record(Actor.system("retirement"), "group.retired", f"group {retirement.group.slug}", retirement=retirement.pk, **details)
    logger.info("%s is retired", retirement.group)


def _begin_due(pk: int) -> None:
    with transaction.atomic():
        group = Group.objects.select_for_update().get(retirements=pk)
        group.stack = lock(group.stack_id)
        retirement = Retirement.objects.select_for_update().get(pk=pk)
        # It may have been undone, or begun by another worker, since it was selected.
        if retirement.state == Retirement.State.WAITING and retirement.due_at <= timezone.now():
            begin(retirement, group)


def _after_removal(pk: int) -> None:
    retirement = Retirement.objects.select_related("group").get(pk=pk)
    if retirement.data == DataChoice.KEEP or not retirement.places.filter(is_done=False).exists():
        finish(retirement)
        return
    Retirement.objects.filter(pk=pk, state=Retirement.State.REMOVING).update(state=Retirement.State.DATA)


def _end_members(group: Group, actor: Actor) -> None:
    wanted = group.memberships.wanted()
    for membership in wanted.select_related("user").iterator():
        before = {"access": membership.access, "username": membership.username, "is_manager": membership.is_manager}
        record(actor, "member.remove", f"{membership.user.email} in {group.slug}", before=before)
    wanted.update(removed_generation=group.stack.generation + 1, removed_at=timezone.now())


def _decline_requests(group: Group, actor: Actor) -> None:
    for request in group.join_requests.filter(state__in=JoinRequest.OPEN).select_related("user"):
        request.state, request.note = JoinRequest.State.DECLINED, DECLINE_NOTE
        request.decided_at, request.decided_by = timezone.now(), actor.label
        request.save(update_fields=["state", "note", "decided_at", "decided_by"])
        record(actor, "join.decline", f"{request.user.email}, {request.place}", request=request.pk, note=DECLINE_NOTE)
        announce_request(request, Notice.Event.JOIN_DECLINED, [request.user.email])


def _places_as_dicts(retirement: Retirement) -> list[dict[str, Any]]:
    return [
        {"bucket": place.bucket, "objects": place.objects_done, "bytes": place.bytes_done, "left_out": place.left_out}
        for place in retirement.places.all()
    ]
