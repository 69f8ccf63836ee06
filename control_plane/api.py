"""The API that Cohort's own pages use. For people signed in through the web; every changing call needs the page's CSRF token."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import ValidationError
from ninja.security import django_auth

from control_plane.audit.refusals import NotYours, record_refusal
from control_plane.deployments.iam_delay import ASK_AGAIN_SECONDS
from control_plane.errors import Refused
from control_plane.groups.errors import BeingMadeReady, NoCredentials, NotGranted, NotMember, Suspended

MOST_PROBLEMS = 5
# Pydantic's documentation, "Validation errors".
OUT_OF_BOUNDS = {"greater_than_equal", "less_than_equal", "int_parsing_size", "finite_number"}

api = NinjaAPI(title="Cohort", version="1", auth=django_auth, docs_url="docs/", docs_decorator=login_required)


@api.exception_handler(PermissionDenied)
@api.exception_handler(NotGranted)
@api.exception_handler(Suspended)
def _forbidden(request: HttpRequest, error: Exception) -> HttpResponse:
    record_refusal(request, error)
    return api.create_response(request, {"detail": str(error) or "You may not do this. Nothing was changed."}, status=403)


@api.exception_handler(NotYours)
@api.exception_handler(NotMember)
def _not_yours(request: HttpRequest, error: Exception) -> HttpResponse:
    record_refusal(request, error)
    return api.create_response(request, {"detail": str(error) or "There is no such thing, or it is not yours."}, status=404)


@api.exception_handler(BeingMadeReady)
def _soon(request: HttpRequest, error: BeingMadeReady) -> HttpResponse:
    """What pages' scripts and the helper wait on, and ask again."""
    answer = api.create_response(request, {"detail": str(error), "retry_after": ASK_AGAIN_SECONDS}, status=503)
    answer["Retry-After"] = str(ASK_AGAIN_SECONDS)
    return answer


@api.exception_handler(NoCredentials)
def _not_now(request: HttpRequest, error: NoCredentials) -> HttpResponse:
    return api.create_response(request, {"detail": str(error)}, status=503)


@api.exception_handler(Refused)
def _refused(request: HttpRequest, error: Refused) -> HttpResponse:
    return api.create_response(request, {"detail": str(error)}, status=409)


@api.exception_handler(ValidationError)
def _malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Say where and why, without the values: 400 for a number out of its bounds, 422 for what has another form than it should."""
    problems = [f"{'.'.join(str(part) for part in one['loc'][2:])}: {one['msg']}" for one in error.errors[:MOST_PROBLEMS]]
    status = 400 if any(one["type"] in OUT_OF_BOUNDS for one in error.errors) else 422
    return api.create_response(request, {"detail": f"Nothing was changed. {'; '.join(problems)}."}, status=status)


api.add_router("/credentials/", "web.credentials.api.router")
api.add_router("/uploads/", "web.uploads.api.router")
api.add_router("/files/", "web.files.api.router")
