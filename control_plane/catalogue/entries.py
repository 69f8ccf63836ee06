"""What the catalogue says of an analysis, and saying it."""

from control_plane.catalogue.models import Entry
from control_plane.groups.models import Analysis


def entry_of(analysis: Analysis) -> Entry:
    """The analysis's entry; an empty one, not saved, where nobody has written any."""
    return Entry.objects.filter(analysis=analysis).first() or Entry(analysis=analysis)
