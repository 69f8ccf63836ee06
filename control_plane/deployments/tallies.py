"""Running counts that outlive the workers, for the metrics."""

from collections.abc import Mapping

from django.db.models import Case, F, FloatField, Value, When

from control_plane.deployments.models import Tally


def add(name: str, label: str, seconds: float = 0.0, count: int = 1) -> None:
    """Add to a tally, which begins at nothing. Any number of workers may do so at once, and none loses another's.

    The row stays locked until the caller's transaction ends, so this comes last in it.
    """
    if not _added(name, label, seconds, count):
        # Whoever makes the row first, everybody adds to it.
        Tally.objects.bulk_create([Tally(name=name, label=label)], ignore_conflicts=True)
        _added(name, label, seconds, count)


def add_each(name: str, seconds: Mapping[str, float]) -> None:
    """Count one more under each of these labels, with its seconds: one statement, and the rows are locked in one order."""
    for label in seconds.keys() - set(Tally.objects.filter(name=name, label__in=seconds).values_list("label", flat=True)):
        add(name, label, count=0)
    spent = Case(*(When(label=label, then=Value(one)) for label, one in sorted(seconds.items())), output_field=FloatField())
    Tally.objects.filter(name=name, label__in=seconds).update(count=F("count") + 1, seconds=F("seconds") + spent)


def _added(name: str, label: str, seconds: float, count: int) -> int:
    return Tally.objects.filter(name=name, label=label).update(count=F("count") + count, seconds=F("seconds") + seconds)
