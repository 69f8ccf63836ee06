"""Scans of a group's access on AWS, which keep what was found. For workers and the terminal."""

import logging

from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.models import Group
from control_plane.access.review import unmanaged
from control_plane.access.review.comparison import Comparison, build_lines
from control_plane.access.review.findings import build_findings
from control_plane.access.review.iam_snapshot import read_snapshot
from control_plane.access.review.models import AccessEntry, Finding, Scan, UnmanagedResource
from control_plane.base.aws import AwsFailure
from control_plane.base.errors import Refused
from control_plane.deployments.iam_delay import is_settling
from control_plane.deployments.models import Deployment, Stack

logger = logging.getLogger("cohort.review")
ROWS_AT_ONCE = 500


class StackIsChanging(Refused):
    """A deployment is changing the stack: AWS and the database are expected to differ."""


def scan_group(group: Group) -> Scan:
    """Read what the group's principals can reach, compare it with the database, and keep both.

    A difference right after a deployment may only be IAM's delay: it is kept, and the sweep scans again once that is over.
    Raises AwsFailure or StackIsChanging.
    """
    scan, _ = Scan.objects.get_or_create(group=group)
    Scan.objects.filter(pk=scan.pk).update(asked_at=timezone.now())
    try:
        _read(scan, group)
    except (AwsFailure, StackIsChanging) as error:
        Scan.objects.filter(pk=scan.pk).update(error=str(error)[:400])
        raise
    scan.refresh_from_db()
    return scan


def scan_outside_groups() -> Scan:
    """Scan AWS for what it holds under our names and the database does not know. Raises AwsFailure."""
    scan, _ = Scan.objects.get_or_create(group=None)
    began = timezone.now()
    Scan.objects.filter(pk=scan.pk).update(asked_at=began)
    try:
        unmanaged.scan()
    except AwsFailure as error:
        Scan.objects.filter(pk=scan.pk).update(error=str(error)[:400])
        raise
    # One scan reads a part of what was found: the next one follows soon.
    again = {"asked_at": None} if UnmanagedResource.objects.filter(read_at=None).exists() else {}
    Scan.objects.filter(pk=scan.pk).update(finished_at=began, error="", **again)
    scan.refresh_from_db()
    return scan


def _read(scan: Scan, group: Group) -> None:
    began = timezone.now()
    group.stack = Stack.objects.get(pk=group.stack_id)
    generation = group.stack.deployed_generation
    _refuse_while_changing(group, generation)
    grants = list(group.grants.not_ended().filter(analysis__unmade_reason="").select_related("analysis", "group__stack"))
    holding = read_snapshot(group, sorted({grant.analysis.bucket for grant in grants}))
    with transaction.atomic():
        # A change made while AWS was read would be compared with the state before it.
        _refuse_while_changing(group, generation)
        memberships = list(group.memberships.not_ended().select_related("user", "group__stack"))
        group.refresh_from_db(fields=["suspended_at"])
        for row in (*memberships, *grants):
            row.group = group
        compared = Comparison(group, memberships, grants, holding)
        seen, strange = build_lines(compared), build_findings(compared)
        AccessEntry.objects.filter(group=group).delete()
        AccessEntry.objects.bulk_create(seen, batch_size=ROWS_AT_ONCE)
        _keep(scan, strange)
        is_provisional = bool(strange or any(line.differs for line in seen)) and is_settling(group.stack_id)
        again = {"asked_at": None} if is_provisional else {}
        Scan.objects.filter(pk=scan.pk).update(finished_at=began, generation=generation, error="", **again)


def _keep(scan: Scan, rows: list[Finding]) -> None:
    scan.findings.all().delete()
    for row in rows:
        row.scan = scan
    Finding.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE)


def _refuse_while_changing(group: Group, generation: int) -> None:
    stack = Stack.objects.get(pk=group.stack_id)
    is_running = Deployment.objects.filter(stack=stack, state=Deployment.State.RUNNING).exists()
    if is_running or stack.deployed_generation != generation:
        raise StackIsChanging(f"{group.name} is being deployed. Nothing was checked; check again once that has ended.")
    group.stack = stack
