"""Sizes as text, in decimal units as disks, networks and AWS's bill use them: a kilobyte is 1000 bytes. In templates: `|size`.

`web/files/static/files/format.js` does the same in a browser, and a test compares both.
"""

from decimal import ROUND_HALF_UP, Decimal

from django import template

register = template.Library()
UNITS = ("kB", "MB", "GB", "TB", "PB")
DIGITS = 3


@register.filter("size")
def format_size(number: int | None) -> str:
    """Return a number of bytes in a suitable unit, to three digits: `1.25 MB`. None counts as 0."""
    value, unit = Decimal(number or 0), ""
    for larger in UNITS:
        # A value that would round to a thousand belongs to the next unit.
        if value < Decimal("999.5"):
            break
        value, unit = value / 1000, larger
    if not unit:
        return f"{value} byte{'' if value == 1 else 's'}"
    rounded = value.quantize(Decimal(1).scaleb(value.adjusted() + 1 - DIGITS), ROUND_HALF_UP)
    return f"{rounded:,f} {unit}" if "." not in f"{rounded:f}" else f"{rounded:f}".rstrip("0").rstrip(".") + f" {unit}"
