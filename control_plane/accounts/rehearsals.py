"""Work that is done for nothing, so that the time an answer takes does not tell who has an account."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction


class _Undo(Exception):
    """Ends a transaction without a trace."""


@contextmanager
def undone() -> Iterator[None]:
    """Undo whatever is written to the database within; what waits for the transaction's end never happens."""
    try:
        with transaction.atomic():
            yield
            raise _Undo
    except _Undo:
        pass
