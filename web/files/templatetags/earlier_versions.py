"""Retention of deleted and replaced files, in words for pages."""

from django import template

from control_plane.access.groups.services.earlier_versions import kept_days
from control_plane.research.storage.group_folder import GroupFolder

register = template.Library()


@register.simple_tag
def kept_for(folder: GroupFolder) -> str:
    """Return how long the folder's bucket keeps earlier versions: `for ever`, or `for 30 days`. One query."""
    days = kept_days(folder.analysis)
    return "for ever" if days is None else f"for {days} day{'s' if days != 1 else ''}"
