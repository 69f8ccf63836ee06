"""What follows from what allauth does by itself: sign-up, signing in, passwords, second factors, accounts elsewhere.

Each is a row in the audit trail; signing in also lifts limits and makes the browser a known device.
"""

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as factors
from allauth.socialaccount import signals as elsewhere
from django.contrib.auth.signals import user_login_failed
from django.db import transaction
from django.dispatch import Signal
from django.http import HttpRequest

from control_plane.accounts import attempts, known_devices
from control_plane.accounts.models import User
from control_plane.accounts.rehearsals import undone
from control_plane.accounts.services.addresses import address_is_verified, note_verified
from control_plane.base.audit.actors import Actor, actor_for
from control_plane.base.audit.models import record

SIMPLE = {
    account.password_changed: "account.password_changed",
    account.password_set: "account.password_changed",
    account.password_reset: "account.password_reset",
}
FACTORS = {
    factors.authenticator_added: "account.factor_added",
    factors.authenticator_removed: "account.factor_removed",
    factors.authenticator_reset: "account.factor_replaced",
}
ELSEWHERE = {elsewhere.social_account_added: "account.provider_connected"}


def connect() -> None:
    """Listen to allauth. Called once, when Django starts."""
    for signals, listen in ((SIMPLE, _deed), (FACTORS, _factor), (ELSEWHERE, _elsewhere)):
        for signal, action in signals.items():
            signal.connect(_with_action(listen, action), weak=False, dispatch_uid=f"{action}-{id(signal)}")
    _listen(elsewhere.social_account_removed, _disconnected)
    _listen(account.user_signed_up, _signed_up)
    _listen(account.user_logged_in, _signed_in)
    _listen(account.email_confirmed, _verified)
    _listen(user_login_failed, _failed)
    for changed in (account.password_changed, account.password_set):
        changed.connect(_remember_device, weak=False, dispatch_uid=f"known-device-{id(changed)}")


def _listen(signal: Signal, listen: Any) -> None:
    signal.connect(listen, weak=False, dispatch_uid=listen.__name__)


def _with_action(listen: Any, action: str) -> Any:
    return lambda sender, **given: listen(action, **given)


def _deed(action: str, *, user: User, request: HttpRequest, **_: Any) -> None:
    record(actor_for(user, request), action, user.email)


def _factor(action: str, *, user: User, request: HttpRequest, authenticator: Any, **_: Any) -> None:
    record(actor_for(user, request), action, user.email, kind=authenticator.type)


def _elsewhere(action: str, *, request: HttpRequest, sociallogin: Any, **_: Any) -> None:
    record(actor_for(sociallogin.user, request), action, sociallogin.user.email, provider=sociallogin.account.provider)


def _disconnected(sender: Any, *, request: HttpRequest, socialaccount: Any, **_: Any) -> None:
    user = socialaccount.user
    record(actor_for(user, request), "account.provider_disconnected", user.email, provider=socialaccount.provider)


def _signed_up(sender: Any, *, user: User, request: HttpRequest, **given: Any) -> None:
    provider = given["sociallogin"].account.provider if "sociallogin" in given else ""
    record(actor_for(user, request), "account.sign_up", user.email, provider=provider)
    # A provider's word on an address counts, and nothing else follows from it.
    if address_is_verified(user):
        note_verified(user, actor=actor_for(user, request))


def _signed_in(sender: Any, *, user: User, request: HttpRequest, **_: Any) -> None:
    methods = [one.get("method", "") for one in request.session.get("account_authentication_methods", [])]
    record(actor_for(user, request), "account.sign_in", user.email, methods=methods)
    attempts.lift(request, user)
    known_devices.remember(request, user)


def _remember_device(sender: Any, *, user: User, request: HttpRequest, **_: Any) -> None:
    """All known devices end with the old password, and this browser is one again."""
    known_devices.remember(request, user)


def _verified(sender: Any, *, request: HttpRequest, email_address: Any, **_: Any) -> None:
    user = User.objects.get(pk=email_address.user_id)
    note_verified(user, actor=actor_for(user, request))


def _failed(sender: Any, *, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Only for an account that exists: people type passwords into the wrong field, and the trail is kept for ever.

    For any other address the same is written and undone, so that the time does not tell which ones have an account.
    """
    email = str(credentials.get("email") or credentials.get("username") or "").strip().lower()
    somebody = Actor.not_signed_in(request)
    if user := User.objects.filter(email=email).first():
        with transaction.atomic():
            record(somebody, "account.sign_in_failed", user.email)
    else:
        with undone():
            record(somebody, "account.sign_in_failed", "")
