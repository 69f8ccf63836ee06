"""Refusals to people who are signed in, recorded in the audit trail for every page and API call."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import REFUSED, AuditEvent, record

MAX_CHARACTERS = 400
# URLs of one person in one hour; refusals beyond are counted in one row, so that nobody fills the trail.
MAX_ADDRESSES = 1_000
OTHERS = "other addresses"


class NotYours(Http404):
    """Something is somebody else's, or does not exist: the answer is the same, and the audit trail records the attempt."""


def count_refusal(actor: Actor, target: str, **details: Any) -> None:
    """Count a refusal to this person at this URL within the hour: a new row the first time, then its count.

    Two at the same moment may make two rows, whose counts add up.
    """
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    rows = AuditEvent.objects.filter(action=REFUSED, actor_user=actor.user, actor=actor.label, at__gte=hour)

    def has_counted(what: str) -> bool:
        known = rows.filter(target=what, address=actor.address).values_list("pk", flat=True).first()
        return known is not None and bool(AuditEvent.objects.filter(pk=known).count_again())

    if has_counted(target):
        return
    if rows.count() < MAX_ADDRESSES:
        record(actor, REFUSED, target, **details)
    elif not has_counted(OTHERS):
        record(actor, REFUSED, OTHERS, reason=f"more than {MAX_ADDRESSES} addresses within the hour")


def record_refusal(request: HttpRequest, reason: Exception) -> None:
    """Record a request that was refused. Without a signed-in person there is nobody to name, and no row."""
    if request.user.is_authenticated:
        count_refusal(
            Actor.of_request(request),
            f"{request.method} {request.path}"[:MAX_CHARACTERS],
            reason=(str(reason) or type(reason).__name__)[:MAX_CHARACTERS],
        )


class RefusalMiddleware:
    """Middleware that records every refusal that a view raises. The API's are recorded by its own handlers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Record a refusal that a view raised (Django's hook); the exception is handled as usual."""
        if isinstance(exception, (PermissionDenied, NotYours)):
            record_refusal(request, exception)
