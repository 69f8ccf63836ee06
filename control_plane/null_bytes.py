"""No text that people send has a null byte: PostgreSQL takes none, so each would be an error of ours."""

from collections.abc import Callable

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse

FORM = "application/x-www-form-urlencoded"


class NullBytesMiddleware:
    """Answers 400 to a query or a form with one. Files are left alone: they go to where null bytes belong."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        sent = [request.GET, *([request.POST] if request.content_type == FORM else [])]
        if "\0" in request.path or any("\0" in text for one in sent for values in one.lists() for text in (values[0], *values[1])):
            raise SuspiciousOperation("a null byte in what was sent")
        return self._get_response(request)
