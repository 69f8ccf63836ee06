"""Sign-in of the helper by the OAuth 2.0 device flow (RFC 8628): allauth's own views, with additions.

These are: the computer's name on the consent page, a CSRF token on that page, which allauth exempts from it, rows in the audit
trail, and a rate limit on codes.
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

RATE_LIMITS = {"device_code": "10/m/ip"}


@csrf_exempt
@require_POST
@never_cache
def device_code(request: HttpRequest) -> HttpResponse:
    """Issue a code to a computer, which its owner types into the site."""
    if not consume(request, app="control_plane.access.computers", action="device_code", config=RATE_LIMITS):
        detail = "Too many computers asked for a code from here. Wait a minute, then try again."
        return JsonResponse({"error": "temporarily_unavailable", "error_description": detail}, status=429)
    if request.POST.get("client_id") == CLIENT_ID:
        ensure_client()
    answer = _call_allauth(views.device_code, request)
    if answer.status_code == 200:
        grant = json.loads(answer.content)
        name = clean_name(request.POST.get("device_name", ""))
        asker = {"name": name, "address": request.META.get("REMOTE_ADDR") or ""}
        cache.set(_key(grant["user_code"]), asker, timeout=int(grant["expires_in"]))
    return answer


@never_cache
def device(request: HttpRequest) -> HttpResponse:
    """Show the consent page to the computer's owner, and handle their answer. Not exempt from CSRF protection."""
    asker = cache.get(_key(request.GET.get("code", "")))
    request.asker = asker  # type: ignore[attr-defined]
    with transaction.atomic():
        answer: HttpResponse = views.device_authorization(request)
        decision = request.POST.get("action")
        if request.method == "POST" and asker and answer.status_code == 200 and isinstance(request.user, User):
            action = "computer.allow" if decision == "confirm" else "computer.deny"
            record(Actor.of_request(request), action, request.user.email, computer=asker["name"], asked_from=asker["address"])
            cache.delete(_key(request.GET.get("code", "")))
    return answer


@csrf_exempt
@require_POST
@never_cache
def token(request: HttpRequest) -> HttpResponse:
    """Issue tokens to a computer once its owner consented, and a new access token each day."""
    with transaction.atomic():
        if request.POST.get("client_id") != CLIENT_ID:
            return _call_allauth(views.token, request)
        if request.POST.get("grant_type") == Client.GrantType.DEVICE_CODE:
            return _first_tokens(request)
        answer = _call_allauth(views.token, request)
        if answer.status_code == 200:
            tokens = json.loads(answer.content)
            try:
                note_refresh(tokens["access_token"], tokens["refresh_token"])
            except Token.DoesNotExist:
                return JsonResponse({"error": "invalid_grant"}, status=400)
        return answer


def _first_tokens(request: HttpRequest) -> HttpResponse:
    # Not allauth's view: its part for oauthlib 4 lacks `validate_device_code` (allauth 65.21), so that it answers 500.
    try:
        user, asked = device_codes.poll_device_code(request)
        _refuse_signed_out(user, asked)
    except OAuth2Error as error:
        return JsonResponse(dict(error.twotuples), status=error.status_code)
    name, address = request.POST.get("device_name", ""), request.META.get("REMOTE_ADDR") or None
    return JsonResponse(sign_in(user, name=name, address=address))


def _refuse_signed_out(user: User, asked: dict[str, Any]) -> None:
    """Raise AccessDenied for a code from before its owner signed out everywhere: the owner may not be who consented."""
    asked_at = datetime.fromtimestamp(asked["expires_at"] - asked["device"]["expires_in"], UTC)
    if was_signed_out_since(user, asked_at):
        raise AccessDenied


def _call_allauth(view: Callable[[HttpRequest], HttpResponse], request: HttpRequest) -> HttpResponse:
    try:
        return view(request)
    except ValidationError as error:
        # Raised by allauth's view when the form names a resource that is no URL.
        return JsonResponse({"error": "invalid_target", "error_description": " ".join(error.messages)}, status=400)


def _key(user_code: str) -> str:
    # People may type it in lower case, and without the hyphen.
    letters = "".join(character for character in user_code.lower() if character.isalnum())
    return f"cohort.device.{letters[:32]}"
