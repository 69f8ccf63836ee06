"""What a group or an analysis that is being retired, or was, is refused. Services ask here before they add anything to one."""

from collections.abc import Iterable

from control_plane.groups.models import Analysis, Group
from control_plane.retirement.errors import AnalysisRetired, BeingRetired
from control_plane.retirement.models import Retirement


def is_retiring(group: Group) -> bool:
    """Whether the group is being retired or was. At most one query."""
    return group.retired_at is not None or Retirement.objects.filter(group=group, state__in=Retirement.OPEN).exists()


def refuse_retiring(group: Group) -> None:
    """Raise BeingRetired if the group is being retired or was."""
    if group.retired_at is not None:
        raise BeingRetired(
            f"{group.name} was retired on {group.retired_at:%d %B %Y} and is a record only. Nothing was changed; choose another "
            "group, or make a new one under another slug."
        )
    if found := Retirement.objects.filter(group=group, state__in=Retirement.OPEN).first():
        undo = " An administrator can undo that until then." if found.can_be_undone else ""
        raise BeingRetired(f"{group.name} is being retired (due {found.due_at:%d %B %Y}). Nothing was changed.{undo}")


def refuse_retired_analyses(analyses: Iterable[Analysis]) -> None:
    """Raise AnalysisRetired if one of these is being retired or was.

    Within a transaction, until whose end none of them can be retired: they are locked, in one order for everybody.
    """
    locked = Analysis.objects.select_for_update().filter(pk__in=[one.pk for one in analyses]).order_by("pk")
    for found in locked:
        if found.retired_at is not None:
            raise AnalysisRetired(
                f"{found.name} is retired since {found.retired_at:%d %B %Y}: nobody can be granted it. Nothing was changed; choose "
                "another analysis."
            )
