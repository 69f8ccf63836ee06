"""Receivers of allauth's signals: sign-up, sign-in, passwords, second factors, connected providers.

Each adds a row to the audit trail; a sign-in also lifts rate limits and makes the browser a known device.
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
from control_plane.accounts.equal_timing import rolled_back
from control_plane.accounts.models import User
from control_plane.accounts.services.addresses import address_is_verified, note_verified
from control_plane.base.audit.actors import Actor, actor_for
from control_plane.base.audit.models import record

PASSWORD_ACTIONS = {
    account.password_changed: "account.password_changed",
    account.password_set: "account.password_changed",
    account.password_reset: "account.password_reset",
}
FACTOR_ACTIONS = {
    factors.authenticator_added: "account.factor_added",
    factors.authenticator_removed: "account.factor_removed",
    factors.authenticator_reset: "account.factor_replaced",
}
PROVIDER_ACTIONS = {elsewhere.social_account_added: "account.provider_connected"}


def connect() -> None:
    """Connect the receivers. Called once, when Django starts."""
    for signals, receiver in (
        (PASSWORD_ACTIONS, _record_password_change),
        (FACTOR_ACTIONS, _record_factor),
        (PROVIDER_ACTIONS, _record_provider_connected),
    ):
        for signal, action in signals.items():
            signal.connect(_with_action(receiver, action), weak=False, dispatch_uid=f"{action}-{id(signal)}")
    _connect(elsewhere.social_account_removed, _record_provider_disconnected)
    _connect(account.user_signed_up, _record_sign_up)
    _connect(account.user_logged_in, _record_sign_in)
    _connect(account.email_confirmed, _record_email_confirmed)
    _connect(user_login_failed, _record_failed_sign_in)
    for changed in (account.password_changed, account.password_set):
        changed.connect(_remember_device, weak=False, dispatch_uid=f"known-device-{id(changed)}")


def _connect(signal: Signal, receiver: Any) -> None:
    signal.connect(receiver, weak=False, dispatch_uid=receiver.__name__)


def _with_action(receiver: Any, action: str) -> Any:
    return lambda sender, **keywords: receiver(action, **keywords)


def _record_password_change(action: str, *, user: User, request: HttpRequest, **_: Any) -> None:
    record(actor_for(user, request), action, user.email)


def _record_factor(action: str, *, user: User, request: HttpRequest, authenticator: Any, **_: Any) -> None:
    record(actor_for(user, request), action, user.email, kind=authenticator.type)


def _record_provider_connected(action: str, *, request: HttpRequest, sociallogin: Any, **_: Any) -> None:
    record(actor_for(sociallogin.user, request), action, sociallogin.user.email, provider=sociallogin.account.provider)


def _record_provider_disconnected(sender: Any, *, request: HttpRequest, socialaccount: Any, **_: Any) -> None:
    user = socialaccount.user
    record(actor_for(user, request), "account.provider_disconnected", user.email, provider=socialaccount.provider)


def _record_sign_up(sender: Any, *, user: User, request: HttpRequest, **keywords: Any) -> None:
    provider = keywords["sociallogin"].account.provider if "sociallogin" in keywords else ""
    record(actor_for(user, request), "account.sign_up", user.email, provider=provider)
    # The provider verified the address, so no link has to be opened.
    if address_is_verified(user):
        note_verified(user, actor=actor_for(user, request))


def _record_sign_in(sender: Any, *, user: User, request: HttpRequest, **_: Any) -> None:
    methods = [method.get("method", "") for method in request.session.get("account_authentication_methods", [])]
    record(actor_for(user, request), "account.sign_in", user.email, methods=methods)
    attempts.lift(request, user)
    known_devices.remember(request, user)


def _remember_device(sender: Any, *, user: User, request: HttpRequest, **_: Any) -> None:
    """Make this browser a known device again: all known devices end with the old password."""
    known_devices.remember(request, user)


def _record_email_confirmed(sender: Any, *, request: HttpRequest, email_address: Any, **_: Any) -> None:
    user = User.objects.get(pk=email_address.user_id)
    note_verified(user, actor=actor_for(user, request))


def _record_failed_sign_in(sender: Any, *, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Record a failed sign-in with its address only for an existing account.

    People type passwords into the wrong field, and the trail is kept for ever. For any other address the same is written and rolled
    back, so that the time does not tell which addresses have an account.
    """
    email = str(credentials.get("email") or credentials.get("username") or "").strip().lower()
    somebody = Actor.not_signed_in(request)
    if user := User.objects.filter(email=email).first():
        with transaction.atomic():
            record(somebody, "account.sign_in_failed", user.email)
    else:
        with rolled_back():
            record(somebody, "account.sign_in_failed", "")
