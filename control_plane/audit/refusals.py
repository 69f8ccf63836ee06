"""What was refused to somebody who is signed in: kept in the audit trail, whichever page or call it was."""

from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from control_plane.audit.actors import Actor
from control_plane.audit.models import record

MOST_CHARACTERS = 400


class NotYours(Http404):
    """It is somebody else's, or does not exist: the person is told the same, the audit trail is told that they tried."""


def record_refusal(request: HttpRequest, reason: Exception) -> None:
    """Add a row about a request that was refused. Without a signed-in person there is nobody to name, and no row."""
    if request.user.is_authenticated:
        record(
            Actor.of_request(request),
            "access.refused",
            f"{request.method} {request.path}"[:MOST_CHARACTERS],
            reason=(str(reason) or type(reason).__name__)[:MOST_CHARACTERS],
        )


class RefusalMiddleware:
    """Records every refusal that a view raises. The API's are recorded by its own handlers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Django's hook for what a view raised; it goes on as it would have."""
        if isinstance(exception, (PermissionDenied, NotYours)):
            record_refusal(request, exception)
