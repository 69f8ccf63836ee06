"""Requests to retire a group, to undo that while there is time, and to survey it beforehand."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from control_plane.access.groups.announcements import announce_about_group
from control_plane.access.groups.lifecycle import refuse_retiring
from control_plane.access.groups.models import Group
from control_plane.access.groups.services.suspension import resume_group, suspend_group
from control_plane.access.retirement.errors import RetirementRefused
from control_plane.access.retirement.inventory import buckets_of, count_what_ends
from control_plane.access.retirement.models import DataChoice, DataPlace, Retirement, Survey
from control_plane.access.retirement.steps import begin
from control_plane.access.retirement.tasks import take_inventory
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.config import config
from control_plane.deployments.requests import lock

# A survey that is not older is reused.
SURVEY_REUSE_AGE = timedelta(minutes=10)


def request_retirement(
    *, group: Group, confirmation: str, actor: Actor, data: DataChoice = DataChoice.KEEP, at_once: bool = False
) -> Retirement:
    """Request a group's retirement after RETIREMENT_DAYS. It is suspended now, and nobody can join it or be added.

    `confirmation` is the group's slug as the person typed it. `at_once` leaves no time to undo it, and is for the terminal only.
    Raises RetirementRefused, BeingRetired or PermissionDenied.
    """
    require_administrator(actor)
    if confirmation.strip() != group.slug:
        raise RetirementRefused(
            f"{confirmation.strip()!r} is not the group's slug. Nothing was changed; type {group.slug} to confirm that you mean "
            "this group."
        )
    if at_once and not actor.is_operator:
        raise RetirementRefused("A group is retired at once from the terminal alone. Nothing was changed; ask without that.")
    with transaction.atomic():
        group = Group.objects.select_for_update().get(pk=group.pk)
        group.stack = lock(group.stack_id)
        refuse_retiring(group)
        now = timezone.now()
        retirement = Retirement.objects.open(
            group=group,
            data=data,
            asked_by=actor.label,
            asked_at=now,
            due_at=now if at_once else now + timedelta(days=config().retirement_days),
            was_suspended=group.suspended_at is not None,
            counts=count_what_ends(group),
        )
        if data != DataChoice.KEEP:
            _create_data_places(retirement)
        after = {"data": data.value, "due_at": retirement.due_at.isoformat(), "counts": retirement.counts}
        record(actor, "group.retire", f"group {group.slug}", after=after, retirement=retirement.pk)
        _announce(retirement)
        if at_once:
            begin(retirement, group)
        elif not retirement.was_suspended:
            suspend_group(group=group, actor=actor)
    return retirement


def undo_retirement(*, group: Group, actor: Actor) -> Retirement:
    """Undo a retirement: the access comes back as it was. Raises RetirementRefused once it has begun, or PermissionDenied."""
    require_administrator(actor)
    with transaction.atomic():
        group = Group.objects.select_for_update().get(pk=group.pk)
        group.stack = lock(group.stack_id)
        retirement = group.retirements.filter(state__in=Retirement.OPEN).first()
        if retirement is None:
            what = "is retired already, which cannot be undone" if group.retired_at else "is not being retired"
            raise RetirementRefused(f"{group.name} {what}. Nothing was changed.")
        if not retirement.can_be_undone:
            raise RetirementRefused(
                f"{group.name}'s access is being removed from AWS already, which cannot be undone. Nothing was changed; make a new "
                "group under another slug instead."
            )
        retirement.state, retirement.undone_at, retirement.undone_by = Retirement.State.UNDONE, timezone.now(), actor.label
        retirement.save(update_fields=["state", "undone_at", "undone_by"])
        group.retires_at = None
        group.save(update_fields=["retires_at"])
        if not retirement.was_suspended:
            resume_group(group=group, actor=actor)
        record(actor, "group.unretire", f"group {group.slug}", retirement=retirement.pk)
        _announce(retirement)
    return retirement


def request_survey(group: Group, *, actor: Actor) -> Survey:
    """Have a worker count what the group has on AWS; a recent survey is reused. Raises PermissionDenied."""
    require_administrator(actor)
    recent = group.surveys.exclude(state=Survey.State.FAILED).filter(asked_at__gt=timezone.now() - SURVEY_REUSE_AGE).first()
    if recent is not None:
        return recent
    survey = Survey.objects.create(group=group, asked_by=actor.user)
    take_inventory.enqueue(survey.pk)
    return survey


def _create_data_places(retirement: Retirement) -> None:
    """Create a row for each bucket, with what the last survey counted there, if there was one."""
    survey = retirement.group.surveys.filter(state=Survey.State.DONE).first()
    counted = {bucket["bucket"]: bucket for bucket in survey.buckets} if survey else {}
    for bucket in buckets_of(retirement.group):
        figures = counted.get(bucket, {})
        DataPlace.objects.create(
            retirement=retirement, bucket=bucket, expected=figures.get("objects"), is_more=figures.get("more", False)
        )


def _announce(retirement: Retirement) -> None:
    group = retirement.group
    members = group.memberships.wanted().filter(user__is_active=True).order_by("-is_manager", "pk")
    if retirement.state == Retirement.State.UNDONE:
        subject = f"{group.name} is not retired after all"
        words = [f"The retirement of {group.name} was undone. Access comes back as it was:"]
    else:
        subject = f"{group.name} is being retired"
        words = [
            f"An administrator has asked for {group.name} to be retired. Nobody can reach its data any more; on "
            f"{retirement.due_at:%A, %d %B %Y} all access ends for good. If that is wrong, tell an administrator before then.",
        ]
    announce_about_group(
        group,
        about=f"retirement {retirement.pk} {retirement.state}",
        recipients=members.values_list("user__email", flat=True),
        subject=subject,
        paragraphs=words,
        path=group.get_absolute_url(),
    )
