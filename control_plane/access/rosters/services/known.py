"""What the database knows of the people, groups and memberships that a roster names: a few queries, however many rows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from django.db.models import Q

from control_plane.access.groups.models import Group, Membership
from control_plane.access.rosters.services.read import Row
from control_plane.accounts.models import User
from control_plane.accounts.validation import fold_name

# Values in one query; databases limit how many there may be.
AT_ONCE = 500
Value = TypeVar("Value", str, int)


@dataclass(frozen=True)
class Known:
    """People by address, groups by what they are called, memberships by both their numbers, and which groups are to go."""

    people: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    memberships: dict[tuple[int, int], Membership] = field(default_factory=dict)
    retiring: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Known":
        """Look up all that these rows name."""
        rows = list(rows)
        known = cls()
        for addresses in _steps({row.email for row in rows if row.email}):
            known.people.update({user.email: user for user in User.objects.filter(email__in=addresses)})
        for called in _steps({row.group for row in rows if row.group}):
            folded = [fold_name(name) for name in called]
            for group in Group.objects.filter(Q(slug__in=called) | Q(folded_name__in=folded)).select_related("stack"):
                known.groups[fold_name(group.name)] = known.groups[group.slug] = group
        groups = {group.pk for group in known.groups.values()}
        known.retiring.update(group.pk for group in known.groups.values() if group.retires_at)
        for users in _steps({user.pk for user in known.people.values()}):
            found = Membership.objects.wanted().filter(user__in=users, group__in=groups)
            known.memberships.update({(one.user_id, one.group_id): one for one in found})
        return known

    def group(self, called: str) -> Group | None:
        """The group of this slug, else of this name."""
        return self.groups.get(called) or self.groups.get(fold_name(called))


def _steps(values: set[Value]) -> Iterator[list[Value]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), AT_ONCE):
        yield ordered[start : start + AT_ONCE]
