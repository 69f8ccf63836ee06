"""Responses to exceptions: status and reason in words, without any value that was sent."""

from functools import partial

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import ValidationError

from control_plane.access.groups.errors import BeingMadeReady, NoCredentials, NotGranted, NotMember, Suspended
from control_plane.base.audit.refusals import NotYours, record_refusal
from control_plane.base.errors import Refused
from control_plane.deployments.iam_delay import ASK_AGAIN_SECONDS

MAX_PROBLEMS = 5
# Pydantic's documentation, "Validation errors".
OUT_OF_BOUNDS = {"greater_than_equal", "less_than_equal", "int_parsing_size", "finite_number"}


def answer_errors(api: NinjaAPI) -> None:
    """Register the response to each error. Of several handlers that match, Ninja takes that of the nearest class."""
    for forbidden in (PermissionDenied, NotGranted, Suspended):
        api.add_exception_handler(forbidden, partial(_forbidden, api))
    for unknown in (NotYours, NotMember):
        api.add_exception_handler(unknown, partial(_not_yours, api))
    api.add_exception_handler(BeingMadeReady, partial(_being_made_ready, api))
    api.add_exception_handler(NoCredentials, partial(_no_credentials, api))
    api.add_exception_handler(Refused, partial(_refused, api))
    api.add_exception_handler(ValidationError, partial(_malformed, api))


def _forbidden(api: NinjaAPI, request: HttpRequest, error: Exception) -> HttpResponse:
    record_refusal(request, error)
    return api.create_response(request, {"detail": str(error) or "You may not do this. Nothing was changed."}, status=403)


def _not_yours(api: NinjaAPI, request: HttpRequest, error: Exception) -> HttpResponse:
    record_refusal(request, error)
    return api.create_response(request, {"detail": str(error) or "There is no such thing, or it is not yours."}, status=404)


def _being_made_ready(api: NinjaAPI, request: HttpRequest, error: BeingMadeReady) -> HttpResponse:
    """Answer 503 with Retry-After: the pages' scripts and the helper wait and repeat the call."""
    answer = api.create_response(request, {"detail": str(error), "retry_after": ASK_AGAIN_SECONDS}, status=503)
    answer["Retry-After"] = str(ASK_AGAIN_SECONDS)
    return answer


def _no_credentials(api: NinjaAPI, request: HttpRequest, error: NoCredentials) -> HttpResponse:
    return api.create_response(request, {"detail": str(error)}, status=503)


def _refused(api: NinjaAPI, request: HttpRequest, error: Refused) -> HttpResponse:
    return api.create_response(request, {"detail": str(error)}, status=409)


def _malformed(api: NinjaAPI, request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Name the fields and errors, without the values: status 400 for a number out of bounds, 422 for any other invalid input."""
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'][2:])}: {problem['msg']}" for problem in error.errors[:MAX_PROBLEMS]
    ]
    status = 400 if any(problem["type"] in OUT_OF_BOUNDS for problem in error.errors) else 422
    return api.create_response(request, {"detail": f"Nothing was changed. {'; '.join(problems)}."}, status=status)
