"""Computers that a person signed in with the helper: OAuth 2.0 tokens in allauth's table, which holds only hashes.

A refresh token stands for one computer, from the sign-in to its end; each access token derived from it names it in its data.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from allauth.idp.oidc import app_settings
from allauth.idp.oidc.models import Client, Token
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from control_plane.accounts.models import User
from control_plane.accounts.validation import tidy_name
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record
from control_plane.base.audit.refusals import NotYours
from control_plane.base.visible import UNSEEN

CLIENT_ID = "cohort-cli"
SCOPE = "credentials"
MAX_NAME_CHARACTERS = 80
MAX_SHOWN = 50


@dataclass(frozen=True)
class Computer:
    """A computer that is signed in. `used_at` is when it last requested credentials."""

    id: int
    name: str
    signed_in_at: datetime
    ends_at: datetime | None
    used_at: datetime | None


def ensure_client() -> Client:
    """Return allauth's client of the helper, without a secret and for the device flow alone; create or correct it if needed."""
    client, _ = Client.objects.update_or_create(
        id=CLIENT_ID,
        defaults={
            "name": "Cohort’s helper for AWS",
            "type": Client.Type.PUBLIC,
            "scopes": SCOPE,
            "default_scopes": SCOPE,
            "grant_types": f"{Client.GrantType.DEVICE_CODE}\n{Client.GrantType.REFRESH_TOKEN}",
            "response_types": "",
            "redirect_uris": "",
            "cors_origins": "",
        },
    )
    return client


def clean_name(name: str) -> str:
    """Return a computer's own name, fit to be shown."""
    return tidy_name(UNSEEN.sub("", name))[:MAX_NAME_CHARACTERS] or "a computer without a name"


def sign_in(user: User, *, name: str, address: str | None) -> dict[str, Any]:
    """Sign in a computer of a person whom the device flow has confirmed. Returns the token response."""
    access_value, refresh_value, now = secrets.token_urlsafe(64), secrets.token_urlsafe(64), timezone.now()
    access_seconds, refresh_seconds = app_settings.ACCESS_TOKEN_EXPIRES_IN, app_settings.REFRESH_TOKEN_EXPIRES_IN
    with transaction.atomic():
        refresh = _make(Token.Type.REFRESH_TOKEN, refresh_value, user, now + timedelta(seconds=refresh_seconds))
        refresh.data = {"name": clean_name(name)}
        refresh.save()
        access = _make(Token.Type.ACCESS_TOKEN, access_value, user, now + timedelta(seconds=access_seconds))
        access.data = {"computer": refresh.pk}
        access.save()
        actor = Actor(label=user.email, channel="web", user=user, address=address)
        record(actor, "computer.sign_in", user.email, computer=refresh.data["name"], id=refresh.pk)
    return {
        "access_token": access_value,
        "refresh_token": refresh_value,
        "token_type": "Bearer",
        "expires_in": access_seconds,
        "refresh_expires_in": refresh_seconds,
        "scope": SCOPE,
    }


def note_refresh(access_value: str, refresh_value: str) -> None:
    """Link a new access token to the computer whose refresh token requested it.

    Raises Token.DoesNotExist if the computer was signed out at that moment.
    """
    with transaction.atomic():
        access = _tokens(Token.Type.ACCESS_TOKEN).by_value(access_value).get()
        refresh = _tokens(Token.Type.REFRESH_TOKEN).by_value(refresh_value).get()
        access.data = {"computer": refresh.pk}
        access.save(update_fields=["data"])
        Token.objects.expired().filter(user=access.user).delete()


def token_for(value: str) -> Token | None:
    """Return the helper's valid access token with this value and the scope for credentials, or None."""
    token = Token.objects.filter(client_id=CLIENT_ID).select_related("user").lookup(Token.Type.ACCESS_TOKEN, value)
    if token is None or SCOPE not in token.get_scopes() or was_signed_out_since(token.user, token.created_at):
        return None
    return token


def was_signed_out_since(user: User, moment: datetime) -> bool:
    """Check whether the person signed out everywhere, or got a new password, since then: earlier tokens are not valid.

    The tokens themselves are removed, except one that was being issued at that moment.
    """
    return user.signed_out_at is not None and moment <= user.signed_out_at


def note_use(token: Token) -> None:
    """Record that the token's computer requested credentials now."""
    refresh = _tokens(Token.Type.REFRESH_TOKEN).filter(pk=_computer_of(token)).first()
    if refresh is not None:
        refresh.data = {**(refresh.data or {}), "used_at": timezone.now().isoformat()}
        refresh.save(update_fields=["data"])


def computers(user: User) -> list[Computer]:
    """Return the person's computers that are signed in, newest first, at most MAX_SHOWN. In one query."""
    return [_computer(token) for token in _signed_in(user).order_by("-pk")[:MAX_SHOWN]]


def sign_out(computer_id: int, *, user: User, actor: Actor) -> Computer:
    """End a computer's sign-in and delete its tokens. Raises NotYours if it is not this person's, or is signed out."""
    with transaction.atomic():
        refresh = _signed_in(user).filter(pk=computer_id).select_for_update().first()
        if refresh is None or actor.user is None or actor.user.pk != user.pk:
            raise NotYours("There is no such computer of yours that is signed in. Nothing was changed.")
        computer = _computer(refresh)
        _delete(user, [refresh.pk])
        record(actor, "computer.sign_out", user.email, computer=computer.name, id=computer.id)
    return computer


def sign_out_all(user: User, *, actor: Actor) -> list[str]:
    """End the sign-in of all the person's computers. Returns their names, newest first."""
    signed_in = [_computer(token) for token in _signed_in(user).order_by("-pk")]
    Token.objects.filter(user=user).delete()
    for computer in signed_in:
        record(actor, "computer.sign_out", user.email, computer=computer.name, id=computer.id)
    return [computer.name for computer in signed_in]


def sign_out_by_token(token: Token, *, actor: Actor) -> None:
    """End the sign-in of the computer that sent the request."""
    computer = _computer_of(token)
    if computer is not None and isinstance(token.user, User):
        sign_out(computer, user=token.user, actor=actor)


def _delete(user: User, ids: Iterable[int]) -> None:
    ids = list(ids)
    Token.objects.filter(user=user, client_id=CLIENT_ID, data__computer__in=ids).delete()
    Token.objects.filter(user=user, client_id=CLIENT_ID, pk__in=ids).delete()


def _signed_in(user: User) -> QuerySet[Token]:
    mine: QuerySet[Token] = _tokens(Token.Type.REFRESH_TOKEN).valid().filter(user=user)
    return mine


def _make(kind: Token.Type, value: str, user: User, expires_at: datetime) -> Any:
    token = Token(type=kind, client=ensure_client(), user=user, expires_at=expires_at, scopes=SCOPE)
    token.set_value(value)
    return token


def _tokens(kind: Token.Type) -> Any:
    return Token.objects.filter(client_id=CLIENT_ID, type=kind)


def _computer_of(token: Token) -> int | None:
    number = (token.data or {}).get("computer")
    return number if isinstance(number, int) else None


def _computer(refresh: Token) -> Computer:
    data = refresh.data or {}
    used = data.get("used_at")
    return Computer(
        id=refresh.pk,
        name=str(data.get("name") or clean_name("")),
        signed_in_at=refresh.created_at,
        ends_at=refresh.expires_at,
        used_at=datetime.fromisoformat(used) if isinstance(used, str) else None,
    )
