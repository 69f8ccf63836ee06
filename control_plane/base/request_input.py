"""Checks of request input before anything reads it: bounded numbers, null bytes, and malformed redirect targets."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from pydantic import Field

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
# 18 digits stay below 2**63, the most that a database's integer holds.
MAX_DIGITS = 18
# A row's primary key in a document that a client sends.
RowNumber = Annotated[int, Field(ge=0, le=2**63 - 1)]
# Parameters with an address to redirect to, which Django and allauth parse.
REDIRECT_PARAMETERS = ("next",)


def read_number(text: str) -> int | None:
    """Return the unsigned number in the text, or None. Python's `int` would accept other scripts' digits, and any length."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else None


class UnreadableMiddleware:
    """Middleware that answers 400 to input that would raise wherever it is read first.

    PostgreSQL accepts no null byte in a query or a form (files are not checked: null bytes are valid there), and several libraries
    parse the address to redirect to.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = [request.GET, *([request.POST] if request.content_type in FORMS else [])]
        if "\0" in request.path or any(
            "\0" in text for fields in sent for values in fields.lists() for text in (values[0], *values[1])
        ):
            raise SuspiciousOperation("a null byte in what was sent")
        for address in (text for fields in sent for name in REDIRECT_PARAMETERS for text in fields.getlist(name)):
            try:
                urlsplit(address)
            except ValueError as error:
                raise SuspiciousOperation("an address to go on to that is none") from error
        return self._get_response(request)
