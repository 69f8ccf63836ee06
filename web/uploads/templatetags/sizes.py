"""Sizes as disks and the file browser tell them: a kilobyte is a thousand bytes."""

from django import template

register = template.Library()
UNITS = ("kB", "MB", "GB", "TB")


@register.filter
def size(number: int | None) -> str:
    """A number of bytes in people's units: `300 MB`."""
    value, unit = float(number or 0), ""
    for larger in UNITS:
        # What would round to a thousand belongs to the next unit.
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    if not unit:
        return f"{int(value)} byte{'' if value == 1 else 's'}"
    return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
