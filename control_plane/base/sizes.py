"""Sizes in words: everywhere a kilobyte is a thousand bytes, as disks, networks and AWS's bill count. For pages, `|size`.

`web/files/static/files/format.js` does the same in a browser, and a test has both say the same.
"""

from decimal import ROUND_HALF_UP, Decimal

from django import template

register = template.Library()
UNITS = ("kB", "MB", "GB", "TB", "PB")
DIGITS = 3


@register.filter("size")
def in_words(number: int | None) -> str:
    """A number of bytes in the unit that reads best, to three digits: `1.25 MB`. None is no byte."""
    value, unit = Decimal(number or 0), ""
    for larger in UNITS:
        # What would round to a thousand belongs to the next unit.
        if value < Decimal("999.5"):
            break
        value, unit = value / 1000, larger
    if not unit:
        return f"{value} byte{'' if value == 1 else 's'}"
    rounded = value.quantize(Decimal(1).scaleb(value.adjusted() + 1 - DIGITS), ROUND_HALF_UP)
    return f"{rounded:,f} {unit}" if "." not in f"{rounded:f}" else f"{rounded:f}".rstrip("0").rstrip(".") + f" {unit}"
