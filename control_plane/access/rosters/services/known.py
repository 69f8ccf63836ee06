"""Existing people, groups and memberships that a roster names, in a few queries for any number of rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from django.db.models import Q

from control_plane.access.groups.models import Group, Membership
from control_plane.access.rosters.services.read import Row
from control_plane.accounts.models import User
from control_plane.accounts.validation import fold_name

# Databases limit the number of parameters of a query.
VALUES_PER_QUERY = 500
Value = TypeVar("Value", str, int)


@dataclass(frozen=True)
class Known:
    """Existing people by address, groups by slug and folded name, memberships by user and group id, and ids of retiring groups."""

    people: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    memberships: dict[tuple[int, int], Membership] = field(default_factory=dict)
    retiring: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Known":
        """Look up everything that these rows name."""
        rows = list(rows)
        known = cls()
        for addresses in _steps({row.email for row in rows if row.email}):
            known.people.update({user.email: user for user in User.objects.filter(email__in=addresses)})
        for names in _steps({row.group for row in rows if row.group}):
            folded = [fold_name(name) for name in names]
            for group in Group.objects.filter(Q(slug__in=names) | Q(folded_name__in=folded)).select_related("stack"):
                known.groups[fold_name(group.name)] = known.groups[group.slug] = group
        groups = {group.pk for group in known.groups.values()}
        known.retiring.update(group.pk for group in known.groups.values() if group.retires_at)
        for users in _steps({user.pk for user in known.people.values()}):
            memberships = Membership.objects.wanted().filter(user__in=users, group__in=groups)
            known.memberships.update({(row.user_id, row.group_id): row for row in memberships})
        return known

    def group(self, slug_or_name: str) -> Group | None:
        """Return the group of this slug, else of this name."""
        return self.groups.get(slug_or_name) or self.groups.get(fold_name(slug_or_name))


def _steps(values: set[Value]) -> Iterator[list[Value]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), VALUES_PER_QUERY):
        yield ordered[start : start + VALUES_PER_QUERY]
