"""E-mails about an administrator's changes to an account: a link to set a password, and notices of what was changed."""

from allauth.account.adapter import get_adapter
from allauth.account.forms import ResetPasswordForm
from allauth.core import ratelimit
from django.http import HttpRequest

from control_plane.accounts.models import User
from control_plane.accounts.permissions import require_administrator
from control_plane.base.audit.actors import Actor
from control_plane.base.audit.models import record


def send_password_link(user: User, *, request: HttpRequest) -> bool:
    """Send the person a link to set a password of their own, as “Forgotten your password?” does.

    Returns False if it was not sent: to an inactive person, or more often than that page allows. Raises PermissionDenied.
    """
    actor = Actor.of_request(request)
    require_administrator(actor)
    form = ResetPasswordForm({"email": user.email})
    if not user.is_active or not form.is_valid() or not ratelimit.consume(request, action="reset_password", key=user.email):
        return False
    form.save(request)
    record(actor, "person.password_link", user.email)
    return True


def notify_address_changed(user: User, before: str) -> None:
    """Notify the person, at both addresses, that an administrator changed the address that they sign in with."""
    for address in (before, user.email):
        get_adapter().send_mail("account/email/changed_for_you", address, {"from_email": before, "to_email": user.email})


def notify_factor_removed(user: User, kind: str) -> None:
    """Notify the person that an administrator removed one of their second factors."""
    get_adapter().send_mail("account/email/factor_removed_for_you", user.email, {"kind": kind})
