"""Claims of due rows: whoever moves the date first starts what is due, so that several workers never start it twice."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet


def claim_due(
    due: QuerySet[Any],
    date: str,
    start: Callable[..., object],
    *,
    limit: int,
    until: datetime,
    fields: tuple[str, ...] = (),
    **changes: object,
) -> int:
    """Move `date` of up to `limit` due rows to `until`, with `changes`, and `start` each by its key and `fields`. Return how many.

    Each row has a transaction of its own, so what `start` enqueues is there if, and only if, the date was moved.
    """
    started = 0
    for pk, seen, *values in due.values_list("pk", date, *fields)[:limit]:
        with transaction.atomic():
            if due.filter(**{"pk": pk, date: seen}).update(**{date: until, **changes}):
                start(pk, *values)
                started += 1
    return started


def claim_or_create(due: QuerySet[Any], date: str, *, lookup: dict[str, Any], until: datetime, **changes: object) -> bool:
    """Make the row that `lookup` names, or move its date if it is due. Return whether this caller did."""
    row, is_new = due.model._default_manager.get_or_create(**lookup, defaults={date: until})
    if is_new:
        return True
    return bool(due.filter(**{"pk": row.pk, date: getattr(row, date)}).update(**{date: until, **changes}))
