"""What the upload page's script has to know, as templates put it into the page."""

from django import template

from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.uploads.page import page_settings

register = template.Library()


@register.simple_tag
def upload_settings(folder: GroupFolder) -> dict[str, object]:
    """Return the settings of the upload page's script, for this folder."""
    return page_settings(folder)
