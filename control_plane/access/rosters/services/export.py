"""People and memberships as a CSV file that can be taken in again, and that a spreadsheet opens without running anything."""

from collections.abc import Iterator

from django.db.models import Exists, OuterRef
from django.utils import timezone

from control_plane.access.groups.models import Group, Membership, ScopedQuerySet
from control_plane.access.rosters.services.read import ADD, COLUMNS
from control_plane.accounts.models import User
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.csv_cells import csv_line

ROWS_PER_QUERY = 1000
# By it Excel knows that the letters are UTF-8.
MARK = "\ufeff"


def export(*, actor: Actor, group: Group | None = None, person: User | None = None) -> Iterator[str]:
    """The file's lines: everybody, or one group's members, or one person. On record before the first line is given out.

    Raises PermissionDenied.
    """
    require_administrator(actor)
    what = " ".join([*([f"group {group.slug}"] if group else []), *([person.email] if person else [])])
    record(actor, "roster.export", what or "everybody")
    return _lines(group, person)


def _lines(group: Group | None, person: User | None) -> Iterator[str]:
    yield MARK + csv_line(COLUMNS)
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


def _in_steps(members: ScopedQuerySet) -> Iterator[Membership]:
    after = 0
    while page := list(members.filter(pk__gt=after)[:ROWS_PER_QUERY]):
        yield from page
        after = page[-1].pk


def _without_group(person: User | None) -> Iterator[User]:
    """Those who are in no group, and can be: an inactive account would be refused by an import."""
    wanted = Membership.objects.wanted().filter(user=OuterRef("pk"))
    people = User.objects.filter(~Exists(wanted), is_active=True).order_by("pk")
    if person is not None:
        people = people.filter(pk=person.pk)
    after = 0
    while page := list(people.filter(pk__gt=after)[:ROWS_PER_QUERY]):
        yield from page
        after = page[-1].pk
