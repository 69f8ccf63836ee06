"""What a group that is being retired, or was, is refused. The services of groups ask here before they add anything to one."""

from control_plane.groups.models import Group
from control_plane.retirement.errors import BeingRetired
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
