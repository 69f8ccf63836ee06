"""Looking at what IAM holds of a group, and keeping what was found. For workers and the terminal."""

import logging

from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.models import Group
from control_plane.access.review import unmanaged
from control_plane.access.review.comparison import Compared, lines
from control_plane.access.review.findings import findings
from control_plane.access.review.iam_snapshot import read
from control_plane.access.review.models import Finding, Line, Look, UnmanagedResource
from control_plane.base.aws import AwsFailure
from control_plane.base.errors import Refused
from control_plane.deployments.iam_delay import is_settling
from control_plane.deployments.models import Deployment, Stack

logger = logging.getLogger("cohort.review")
ROWS_AT_ONCE = 500


class NotNow(Refused):
    """What AWS holds is being changed: it would differ by right."""


def look(group: Group) -> Look:
    """Ask AWS what the group's principals can reach, compare it with the database, and keep both. Raises AwsFailure or NotNow.

    What differs right after a deployment may only be IAM's delay: it is kept, and the sweep looks again once that is over.
    """
    found, _ = Look.objects.get_or_create(group=group)
    Look.objects.filter(pk=found.pk).update(asked_at=timezone.now())
    try:
        _read(found, group)
    except (AwsFailure, NotNow) as error:
        Look.objects.filter(pk=found.pk).update(error=str(error)[:400])
        raise
    found.refresh_from_db()
    return found


def look_outside() -> Look:
    """Ask AWS for what it holds under our names and the database does not know. Raises AwsFailure."""
    found, _ = Look.objects.get_or_create(group=None)
    began = timezone.now()
    Look.objects.filter(pk=found.pk).update(asked_at=began)
    try:
        unmanaged.scan()
    except AwsFailure as error:
        Look.objects.filter(pk=found.pk).update(error=str(error)[:400])
        raise
    # Of what was found, one scan reads a part: the next one goes on soon.
    again = {"asked_at": None} if UnmanagedResource.objects.filter(read_at=None).exists() else {}
    Look.objects.filter(pk=found.pk).update(finished_at=began, error="", **again)
    found.refresh_from_db()
    return found


def _read(found: Look, group: Group) -> None:
    began = timezone.now()
    group.stack = Stack.objects.get(pk=group.stack_id)
    generation = group.stack.deployed_generation
    _refuse_while_changing(group, generation)
    grants = list(group.grants.not_ended().filter(analysis__unmade_reason="").select_related("analysis", "group__stack"))
    holding = read(group, sorted({grant.analysis.bucket for grant in grants}))
    with transaction.atomic():
        # What changed while AWS was asked would be compared with what it is not.
        _refuse_while_changing(group, generation)
        memberships = list(group.memberships.not_ended().select_related("user", "group__stack"))
        group.refresh_from_db(fields=["suspended_at"])
        for one in (*memberships, *grants):
            one.group = group
        compared = Compared(group, memberships, grants, holding)
        seen, strange = lines(compared), findings(compared)
        Line.objects.filter(group=group).delete()
        Line.objects.bulk_create(seen, batch_size=ROWS_AT_ONCE)
        _keep(found, strange)
        is_provisional = bool(strange or any(line.differs for line in seen)) and is_settling(group.stack_id)
        again = {"asked_at": None} if is_provisional else {}
        Look.objects.filter(pk=found.pk).update(finished_at=began, generation=generation, error="", **again)


def _keep(found: Look, rows: list[Finding]) -> None:
    found.findings.all().delete()
    for row in rows:
        row.look = found
    Finding.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)


def _refuse_while_changing(group: Group, generation: int) -> None:
    stack = Stack.objects.get(pk=group.stack_id)
    is_running = Deployment.objects.filter(stack=stack, state=Deployment.State.RUNNING).exists()
    if is_running or stack.deployed_generation != generation:
        raise NotNow(f"{group.name} is being deployed. Nothing was looked at; look again once that has ended.")
    group.stack = stack
