"""How long S3 keeps what people delete or replace, as pages say it."""

from django import template

from control_plane.access.groups.services.earlier_versions import kept_days
from control_plane.research.storage.group_folder import GroupFolder

register = template.Library()


@register.simple_tag
def kept_for(folder: GroupFolder) -> str:
    """How long earlier versions in the place's bucket are kept: `for ever`, or `for 30 days`. In one query."""
    days = kept_days(folder.analysis)
    return "for ever" if days is None else f"for {days} day{'s' if days != 1 else ''}"
