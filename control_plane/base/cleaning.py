"""What is removed each night. Each part of the site says for itself what it has that nobody needs any more."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

# Removed within one transaction, so that nobody waits for the database's lock for long.
AT_ONCE = 500
Clean = Callable[[], int]
_PARTS: dict[str, Clean] = {}


def cleans(what: str) -> Callable[[Clean], Clean]:
    """Mark a function that removes `what` and returns how many it removed."""

    def mark(function: Clean) -> Clean:
        _PARTS[what] = function
        return function

    return mark


def parts() -> dict[str, Clean]:
    """All that is cleaned, by what it is called."""
    return dict(_PARTS)


def remove_in_steps(rows: "QuerySet[Any]") -> int:
    """Remove rows, a few at a time. Returns how many of these went, without those that went with them."""
    removed = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        with transaction.atomic():
            # Asked again: one may have become of use meanwhile.
            rows.filter(pk__in=keys).delete()
        removed += len(keys)
    return removed
