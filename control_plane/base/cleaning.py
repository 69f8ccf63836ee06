"""Nightly removal of old rows. Each app registers a function for what it no longer needs."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

# Few enough that nobody waits for the database's lock for long.
MAX_ROWS_PER_TRANSACTION = 500
Cleanup = Callable[[], int]
_CLEANUPS: dict[str, Cleanup] = {}


def register_cleanup(what: str) -> Callable[[Cleanup], Cleanup]:
    """Register the decorated function, which removes `what` and returns the number removed."""

    def mark(function: Cleanup) -> Cleanup:
        _CLEANUPS[what] = function
        return function

    return mark


def registered_cleanups() -> dict[str, Cleanup]:
    """Return the registered functions by what they remove."""
    return dict(_CLEANUPS)


def remove_in_steps(rows: "QuerySet[Any]") -> int:
    """Delete rows in transactions of MAX_ROWS_PER_TRANSACTION. Returns their number, without rows deleted by cascade."""
    removed = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:MAX_ROWS_PER_TRANSACTION]):
        with transaction.atomic():
            # Filtered again: a row may be in use again by now.
            rows.filter(pk__in=keys).delete()
        removed += len(keys)
    return removed
