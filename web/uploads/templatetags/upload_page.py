"""What the upload page's script has to know, as templates put it into the page."""

from django import template

from control_plane.research.uploads.page import page_settings

register = template.Library()


@register.simple_tag
def upload_settings() -> dict[str, object]:
    """Return the settings of the upload page's script."""
    return page_settings()
