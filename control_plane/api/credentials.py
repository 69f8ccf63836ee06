"""Endpoints for the helper on a member's computer: credentials for a group, and signing out."""

from datetime import datetime
from typing import Any

from allauth.idp.oidc.models import Token
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from ninja.errors import HttpError
from ninja.security import HttpBearer

from control_plane.access.computers.access import own_membership
from control_plane.access.groups.services.credentials import member_credentials
from control_plane.accounts.models import User
from control_plane.accounts.services.computers import note_use, sign_out_by_token, token_for
from control_plane.base.audit.actors import Actor
from control_plane.base.errors import TooOften


class HelperToken(HttpBearer):
    """Authentication by a valid access token of the helper, whose owner's account is active."""

    def authenticate(self, request: HttpRequest, token: str) -> Token | None:
        """Return the token and set the request's user to its owner, or return None, which answers 401 (Ninja's hook)."""
        helper_token = token_for(token)
        if helper_token is None or not isinstance(helper_token.user, User):
            return None
        request.user = helper_token.user
        if not helper_token.user.is_active:
            raise PermissionDenied("Your account is not active. No credentials were made; ask an administrator.")
        return helper_token


router = Router(tags=["credentials"], auth=HelperToken())


class ProcessDocument(Schema):
    """Document that AWS's programs read from a `credential_process`. Its field names are theirs."""

    Version: int
    AccessKeyId: str
    SecretAccessKey: str
    SessionToken: str
    Expiration: datetime | str


@router.post("/{group_slug}", response=ProcessDocument, summary="Short-lived credentials for the group's folder")
def credentials(request: HttpRequest, response: HttpResponse, group_slug: str) -> dict[str, Any]:
    """Return credentials for an hour, for the token's owner, if they are in the group."""
    token, user = _asker(request)
    membership = own_membership(user, group_slug)
    try:
        given = member_credentials(group=membership.group, user=user, actor=Actor.of_request(request))
    except TooOften as error:
        raise HttpError(429, str(error)) from error
    note_use(token)
    response["Cache-Control"] = "no-store"
    return given.as_credential_process()


@router.delete("/", response={204: None}, summary="Sign this computer out")
def sign_out(request: HttpRequest) -> tuple[int, None]:
    """End the computer's sign-in: its tokens are not valid any more."""
    token, _ = _asker(request)
    sign_out_by_token(token, actor=Actor.of_request(request))
    return 204, None


def _asker(request: HttpRequest) -> tuple[Token, User]:
    token: Token = request.auth  # type: ignore[attr-defined]
    if not isinstance(token.user, User):
        raise PermissionDenied("The token has no owner.")
    return token, token.user
