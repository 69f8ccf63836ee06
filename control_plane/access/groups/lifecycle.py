"""Guards for groups and analyses that are being retired, or were. Services call these before they add anything to one."""

from collections.abc import Iterable

from control_plane.access.groups.errors import AnalysisRetired, BeingRetired
from control_plane.access.groups.models import Analysis, Group


def is_retiring(group: Group) -> bool:
    """Return whether the group is being retired or was. At most one query."""
    return group.retired_at is not None or Group.objects.filter(pk=group.pk, retires_at__isnull=False).exists()


def refuse_retiring(group: Group) -> None:
    """Raise BeingRetired if the group is being retired or was. At most one query: the retirement may just have been requested."""
    if group.retired_at is not None:
        raise BeingRetired(
            f"{group.name} was retired on {group.retired_at:%d %B %Y} and is a record only. Nothing was changed; choose another "
            "group, or make a new one under another slug."
        )
    retiring = Group.objects.filter(pk=group.pk, retires_at__isnull=False)
    # Its stack is retired once the retirement is carried out.
    for retires_at, is_begun in retiring.values_list("retires_at", "stack__is_retired"):
        undo = "" if is_begun else " An administrator can undo that until then."
        raise BeingRetired(f"{group.name} is being retired (due {retires_at:%d %B %Y}). Nothing was changed.{undo}")


def refuse_retired_analyses(analyses: Iterable[Analysis]) -> None:
    """Raise AnalysisRetired if one of these is being retired or was.

    Within a transaction, until whose end none of them can be retired: they are locked, in one order for everybody.
    """
    locked = Analysis.objects.select_for_update().filter(pk__in=[analysis.pk for analysis in analyses]).order_by("pk")
    for analysis in locked:
        if analysis.retired_at is not None:
            raise AnalysisRetired(
                f"{analysis.name} is retired since {analysis.retired_at:%d %B %Y}: nobody can be granted it. Nothing was changed; "
                "choose another analysis."
            )
