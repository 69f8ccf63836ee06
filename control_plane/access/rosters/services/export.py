"""Export of people and memberships as a CSV file that can be imported again, and in which no spreadsheet runs a formula."""

from collections.abc import Iterator

from django.db.models import Exists, OuterRef
from django.utils import timezone

from control_plane.access.groups.models import GenerationScopedQuerySet, Group, Membership
from control_plane.access.rosters.services.read import ADD, COLUMNS
from control_plane.accounts.models import User
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.csv_cells import csv_line

ROWS_PER_QUERY = 1000
# Excel takes the file for UTF-8 because of it.
BYTE_ORDER_MARK = "\ufeff"


def export(*, actor: Actor, group: Group | None = None, person: User | None = None) -> Iterator[str]:
    """Return the file's lines for everybody, one group's members, or one person. Recorded in the audit trail at once.

    Raises PermissionDenied.
    """
    require_administrator(actor)
    target = " ".join([*([f"group {group.slug}"] if group else []), *([person.email] if person else [])])
    record(actor, "roster.export", target or "everybody")
    return _lines(group, person)


def _lines(group: Group | None, person: User | None) -> Iterator[str]:
    yield BYTE_ORDER_MARK + csv_line(COLUMNS)
    members = Membership.objects.wanted().select_related("user", "group").order_by("pk")
    if group is not None:
        members = members.filter(group=group)
    if person is not None:
        members = members.filter(user=person)
    for membership in _in_steps(members):
        yield csv_line(_cells(membership))
    if group is None:
        for user in _without_group(person):
            yield csv_line((user.email, user.name, "", "", "", "", ADD))


def _cells(membership: Membership) -> tuple[str, ...]:
    return (
        membership.user.email,
        membership.user.name,
        membership.group.slug,
        membership.access,
        "yes" if membership.is_manager else "no",
        timezone.localtime(membership.ends_at).date().isoformat() if membership.ends_at else "",
        ADD,
    )


def _in_steps(members: GenerationScopedQuerySet) -> Iterator[Membership]:
    after = 0
    while page := list(members.filter(pk__gt=after)[:ROWS_PER_QUERY]):
        yield from page
        after = page[-1].pk


def _without_group(person: User | None) -> Iterator[User]:
    """Return the active people who are in no group; an import would refuse inactive accounts."""
    wanted = Membership.objects.wanted().filter(user=OuterRef("pk"))
    people = User.objects.filter(~Exists(wanted), is_active=True).order_by("pk")
    if person is not None:
        people = people.filter(pk=person.pk)
    after = 0
    while page := list(people.filter(pk__gt=after)[:ROWS_PER_QUERY]):
        yield from page
        after = page[-1].pk
