"""Running counts that outlive the workers, for the metrics."""

from collections.abc import Mapping

from django.db.models import Case, F, FloatField, Value, When

from control_plane.deployments.models import Counter


def add(name: str, label: str, seconds: float = 0.0, count: int = 1) -> None:
    """Add to a counter, creating it at zero. Safe for any number of workers at once.

    The row stays locked until the caller's transaction ends, so this comes last in it.
    """
    if not _added(name, label, seconds, count):
        # Several workers may create the row at once: one succeeds, and all add to it.
        Counter.objects.bulk_create([Counter(name=name, label=label)], ignore_conflicts=True)
        _added(name, label, seconds, count)


def add_each(name: str, seconds: Mapping[str, float]) -> None:
    """Add one to the counter of each label, with its seconds. Needs a transaction.

    The rows are made, and locked, in one order: an UPDATE of several locks them as they lie on the disk, which changes with
    each, and two workers at once would wait for each other for ever.
    """
    rows = Counter.objects.filter(name=name, label__in=seconds)
    if missing := sorted(seconds.keys() - set(rows.values_list("label", flat=True))):
        Counter.objects.bulk_create([Counter(name=name, label=label) for label in missing], ignore_conflicts=True)
    list(rows.select_for_update().order_by("label").values_list("pk"))
    spent = Case(
        *(When(label=label, then=Value(spent_seconds)) for label, spent_seconds in sorted(seconds.items())),
        output_field=FloatField(),
    )
    rows.update(count=F("count") + 1, seconds=F("seconds") + spent)


def _added(name: str, label: str, seconds: float, count: int) -> int:
    return Counter.objects.filter(name=name, label=label).update(count=F("count") + count, seconds=F("seconds") + seconds)
