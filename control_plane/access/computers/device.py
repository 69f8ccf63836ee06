"""The helper's sign-in, the OAuth 2.0 device flow (RFC 8628): allauth's own views, with what they lack.

That is: the computer's name on the page that asks for consent, a token against forged requests on that page, which allauth
exempts from it, rows in the audit trail, and a limit on codes.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from allauth.core.internal.ratelimit import consume
from allauth.idp.oidc import views
from allauth.idp.oidc.internal.oauthlib import device_codes
from allauth.idp.oidc.models import Client, Token
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from oauthlib.oauth2.rfc6749.errors import OAuth2Error  # type: ignore[import-untyped]
from oauthlib.oauth2.rfc8628.errors import AccessDenied  # type: ignore[import-untyped]

from control_plane.accounts.models import User
from control_plane.accounts.services.computers import (
    CLIENT_ID,
    clean_name,
    ensure_client,
    note_refresh,
    sign_in,
    was_signed_out_since,
)
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record

CODES = {"device_code": "10/m/ip"}


@csrf_exempt
@require_POST
@never_cache
def device_code(request: HttpRequest) -> HttpResponse:
    """A computer asks for a code that its owner types into the site."""
    if not consume(request, app="control_plane.access.computers", action="device_code", config=CODES):
        detail = "Too many computers asked for a code from here. Wait a minute, then try again."
        return JsonResponse({"error": "temporarily_unavailable", "error_description": detail}, status=429)
    if request.POST.get("client_id") == CLIENT_ID:
        ensure_client()
    answer = _allauths(views.device_code, request)
    if answer.status_code == 200:
        given = json.loads(answer.content)
        name = clean_name(request.POST.get("device_name", ""))
        asker = {"name": name, "address": request.META.get("REMOTE_ADDR") or ""}
        cache.set(_key(given["user_code"]), asker, timeout=int(given["expires_in"]))
    return answer


@never_cache
def device(request: HttpRequest) -> HttpResponse:
    """The computer's owner looks at the code and says yes or no. Not exempt from Django's check of forged requests."""
    asker = cache.get(_key(request.GET.get("code", "")))
    request.asker = asker  # type: ignore[attr-defined]
    with transaction.atomic():
        answer: HttpResponse = views.device_authorization(request)
        decision = request.POST.get("action")
        if request.method == "POST" and asker and answer.status_code == 200 and isinstance(request.user, User):
            said = "computer.allow" if decision == "confirm" else "computer.deny"
            record(Actor.of_request(request), said, request.user.email, computer=asker["name"], asked_from=asker["address"])
            cache.delete(_key(request.GET.get("code", "")))
    return answer


@csrf_exempt
@require_POST
@never_cache
def token(request: HttpRequest) -> HttpResponse:
    """The computer fetches its tokens once its owner said yes, and a fresh access token each day."""
    with transaction.atomic():
        if request.POST.get("client_id") != CLIENT_ID:
            return _allauths(views.token, request)
        if request.POST.get("grant_type") == Client.GrantType.DEVICE_CODE:
            return _first_tokens(request)
        answer = _allauths(views.token, request)
        if answer.status_code == 200:
            given = json.loads(answer.content)
            try:
                note_refresh(given["access_token"], given["refresh_token"])
            except Token.DoesNotExist:
                return JsonResponse({"error": "invalid_grant"}, status=400)
        return answer


def _first_tokens(request: HttpRequest) -> HttpResponse:
    # Not by allauth's view: its part for oauthlib 4 lacks `validate_device_code` (allauth 65.21), so that it answers 500.
    try:
        user, asked = device_codes.poll_device_code(request)
        _refuse_signed_out(user, asked)
    except OAuth2Error as error:
        return JsonResponse(dict(error.twotuples), status=error.status_code)
    name, address = request.POST.get("device_name", ""), request.META.get("REMOTE_ADDR") or None
    return JsonResponse(sign_in(user, name=name, address=address))


def _refuse_signed_out(user: User, asked: dict[str, Any]) -> None:
    """Raise AccessDenied for a code from before its owner signed out everywhere: who said yes to it is unknown."""
    asked_at = datetime.fromtimestamp(asked["expires_at"] - asked["device"]["expires_in"], UTC)
    if was_signed_out_since(user, asked_at):
        raise AccessDenied


def _allauths(view: Callable[[HttpRequest], HttpResponse], request: HttpRequest) -> HttpResponse:
    try:
        return view(request)
    except ValidationError as error:
        # What allauth's view lets out when the form names a resource that is no address.
        return JsonResponse({"error": "invalid_target", "error_description": " ".join(error.messages)}, status=400)


def _key(user_code: str) -> str:
    # What people type has small letters, and a hyphen or none.
    letters = "".join(character for character in user_code.lower() if character.isalnum())
    return f"cohort.device.{letters[:32]}"
