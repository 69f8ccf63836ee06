"""Names of files as templates show them."""

from django import template

from control_plane.base.visible import visible as make_visible

register = template.Library()


@register.filter
def visible(name: object) -> str:
    r"""Return the name with invisible characters as their numbers: `\u202e`."""
    return make_visible(str(name))
