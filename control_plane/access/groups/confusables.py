"""Names that look like the name of an existing group or analysis."""

from typing import TypeVar

from django.db.models import QuerySet

from control_plane.access.groups.models import Analysis, Group
from control_plane.accounts import confusables

Named = TypeVar("Named", Group, Analysis)


def look_alike_of(name: str, rows: QuerySet[Named]) -> Named | None:
    """Return the first of these rows whose whole name looks like this one; None if there is none.

    Reads the names of all of them: AWS's limits on stacks and roles bound how many there are, and a name costs 15 microseconds.
    """
    wanted = confusables.lookalike_keys(name)
    for key, other in rows.order_by("pk").values_list("pk", "name"):
        if wanted & confusables.lookalike_keys(other):
            return rows.get(pk=key)
    return None
