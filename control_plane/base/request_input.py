"""What people and their programs send, before anything reads it: numbers with bounds, and text that nothing here can read."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from pydantic import Field

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
# Of a number as text: 18 digits stay below 2**63, the most that a database's integer holds.
MAX_DIGITS = 18
# The number of a row, in a document that somebody sends.
RowNumber = Annotated[int, Field(ge=0, le=2**63 - 1)]
# Parameters that say where to go on, which Django and allauth take apart.
ADDRESSES = ("next",)


def read_number(text: str) -> int | None:
    """Read a number of no sign from text, or None. Python's own would take other scripts' digits, and any length."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


class UnreadableMiddleware:
    """Answers 400 to what would be an error wherever it is read first.

    PostgreSQL takes no null byte in a query or a form (files are left alone: they go to where null bytes belong), and an address to
    go on to that is none is taken apart by several libraries.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = [request.GET, *([request.POST] if request.content_type in FORMS else [])]
        if "\0" in request.path or any("\0" in text for one in sent for values in one.lists() for text in (values[0], *values[1])):
            raise SuspiciousOperation("a null byte in what was sent")
        for address in (text for one in sent for name in ADDRESSES for text in one.getlist(name)):
            try:
                urlsplit(address)
            except ValueError as error:
                raise SuspiciousOperation("an address to go on to that is none") from error
        return self._get_response(request)
